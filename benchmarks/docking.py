"""Beside docking, where templates are unlike: the same targets by TEMPL and by rustina, each as it comes.

    python benchmarks/docking.py FOLDER [--targets 60] [--receptor own|nearest]

Targets are those of complexes, many and cdk2 whose nearest template is below a Tanimoto of 0.25, evenly
spread. rustina (GNINA's search and fast network, `pip install 'rustina[prep]'`) prepares receptor and ligand
itself and is given what docking benchmarks give: a box around the crystal ligand, 4 Angstrom to each side.
TEMPL is told nothing of the pocket. Both in one process, one thread; seconds are CPU seconds, preparation
included. Some twenty minutes on two cores; it writes results/docking.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rustina
from meeko import PDBQTMolecule, RDKitMolCreate
from rdkit import Chem
from samples import MISS, NEAREST, OWN, predict_one
from sets import OWN_RECEPTORS, open_set

from templ.chemistry.molecules import parse_smiles, positions, quiet_rdkit
from templ.evaluation.comparison import mcnemar
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.success_rate import HEADLINE, wilson_interval
from templ.export.pdb import to_pdb
from templ.templates.receptor_choice import choose_receptors
from templ.templates.screening import AllowedTemplates
from templ.templates.sequence import Aligner, related_rows

STORED = Path(__file__).parent / "results" / "docking.json"
UNLIKE = 0.25
"""Tanimoto of the nearest template below which targets are taken."""
AROUND = 4.0
"""Angstrom that the box goes beyond the crystal ligand, to each side."""
LEAST_BOX = 18.0
"""Angstrom, a side."""
HANDED_OUT = 5


def dock(name: str, folder: Path, id: str, where: str) -> tuple[list[float], float]:
    """Dock one target; RMSD of the poses, best first, Angstrom, and CPU seconds."""
    chosen = open_set(name, folder)
    truth = chosen.carried(id, where) if where else chosen.truth(id)
    receptor = chosen.library.receptor_of(where) if where else chosen.receptor(id)
    low, high = positions(truth).min(axis=0) - AROUND, positions(truth).max(axis=0) + AROUND
    cx, cy, cz = ((low + high) / 2).tolist()
    sx, sy, sz = np.maximum(high - low, LEAST_BOX).tolist()
    begin = time.process_time()
    try:
        with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(scratch) / "receptor.pdb"
            path.write_text(to_pdb(receptor))
            prepared = rustina.prepare_receptor(path, (cx, cy, cz), (sx, sy, sz))["pdbqt"]
            (ligand, *_) = rustina.prepare_ligand(chosen.target(id).smiles, enumerate_tautomers=False)
            box = {"cx": cx, "cy": cy, "cz": cz, "sx": sx, "sy": sy, "sz": sz}
            how: dict[str, Any] = {**box, "seed": 1, "threads": 1, "num_modes": HANDED_OUT}
            found = rustina.dock(prepared, ligand["pdbqt"], **how)
    except (rustina.PreparationError, RuntimeError, ValueError) as error:
        print(f"{name} {id}: {error}", flush=True)
        return [MISS], time.process_time() - begin
    seconds = time.process_time() - begin
    return [symmetric_rmsd(molecule(pose["pdbqt"]), truth) for pose in found], seconds


def molecule(pdbqt: str) -> Chem.Mol:
    """Heavy atoms of a docked pose."""
    with quiet_rdkit():
        (mol,) = RDKitMolCreate.from_pdbqt_mol(PDBQTMolecule(pdbqt, skip_typing=True))
        return Chem.RemoveHs(mol)


def beside(name: str, folder: Path, id: str, mode: str) -> dict[str, Any]:
    """One target by both."""
    row = predict_one(name, folder, id, mode, {}, check=False, fit=False).row
    where = nearest_receptor(name, folder, id) if mode == NEAREST else ""
    docked, seconds = dock(name, folder, id, where)
    return {
        "set": name,
        "id": id,
        "tanimoto": round(row.tanimoto, 3),
        "templ": [round(value, 2) for value in row.rmsd],
        "templ_s": round(row.seconds, 2),
        "docking": [round(value, 2) for value in docked],
        "docking_s": round(seconds, 2),
    }


def nearest_receptor(name: str, folder: Path, id: str) -> str:
    """Name of the crystal whose receptor the program chooses."""
    chosen = open_set(name, folder)
    query = parse_smiles(chosen.target(id).smiles)
    allowed = AllowedTemplates(chosen.target(id), chosen.library, chosen.rule)
    sequences = chosen.receptor(id).residues.sequences()
    choice = choose_receptors(query, chosen.library, allowed.rows, sequences, least=0.3)
    return chosen.library.entry(choice.rows[0]).id


def unlike_targets(folder: Path, most: int) -> list[tuple[str, str]]:
    """Set and id of targets whose nearest template is unlike, evenly spread over the sets."""
    found = []
    for name in OWN_RECEPTORS:
        chosen = open_set(name, folder)
        for id in chosen.ids:
            target = chosen.target(id)
            allowed = AllowedTemplates(target, chosen.library, chosen.rule)
            sequences = chosen.receptor(id).residues.sequences()
            related = related_rows(sequences, chosen.library, allowed.rows, 0.3, 1.0, Aligner())
            if not related.any():
                continue
            _, similarities = chosen.library.most_similar(parse_smiles(target.smiles), 1, related)
            if similarities[0] < UNLIKE:
                found.append((name, id))
    return [found[number * len(found) // most] for number in range(min(most, len(found)))]


def main() -> None:
    """Run both, print, store."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=int, default=60)
    parser.add_argument("--receptor", choices=(OWN, NEAREST), default=OWN)
    options = parser.parse_args()
    names, ids = zip(*unlike_targets(options.folder, options.targets), strict=True)
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for row in pool.map(beside, names, repeat(options.folder), ids, repeat(options.receptor)):
            rows.append(row)
            print(json.dumps(row), flush=True)
    print(f"\n{options.receptor} receptor, {len(rows)} targets, nearest template below {UNLIKE}")
    right = {by: [row[by][0] <= HEADLINE for row in rows] for by in ("templ", "docking")}
    for by, first in right.items():
        low, high = wilson_interval(sum(first), len(first))
        best = sum(min(row[by]) <= HEADLINE for row in rows)
        seconds = median(row[f"{by}_s"] for row in rows)
        found = f"first pose {sum(first)} ({low:.0%} to {high:.0%}), best of 5 {best}"
        print(f"{by:<8} {found}, {seconds:.1f} CPU s")
    pairs = list(zip(right["templ"], right["docking"], strict=True))
    ours, theirs = pairs.count((True, False)), pairs.count((False, True))
    either = len(pairs) - pairs.count((False, False))
    print(f"only TEMPL {ours}, only docking {theirs}, p = {mcnemar(ours, theirs):.2f}; either {either}")
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    STORED.write_text(json.dumps(stored | {options.receptor: rows}, indent=0) + "\n")


if __name__ == "__main__":
    main()
