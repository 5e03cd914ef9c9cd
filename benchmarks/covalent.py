"""Covalent ligands of Mpro: posed as before, by `auto`, and with the residue named; and who else is named.

    python benchmarks/covalent.py FOLDER [--everywhere]

FOLDER keeps the libraries (`sets.py`). Each ligand of the demo's Mpro set within 2.3 A of the sulphur of CYS
145 (as `../shared/data/mpro/repair.csv` counts them) is posed from all others, other crystals of itself
left out. Bonds are held against the table: 0.1 A and 15 degrees, all five poses. ``--everywhere`` counts, on
every set, the targets without a bond in their crystal for which `auto` names one; nothing is posed for that.
Six minutes of CPU time, and another ten.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import NamedTuple

import numpy as np
from samples import modes
from sets import ALL, open_set

from templ import Library, open_library, predict, read_receptor
from templ.chemistry.molecules import positions, to_smiles
from templ.chemistry.receptor import Receptor
from templ.chemistry.warheads import AT_RESIDUE, bond_length
from templ.errors import Refusal
from templ.evaluation.comparison import mcnemar
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.success_rate import wilson_interval
from templ.evaluation.validity import failed_checks
from templ.prediction import Prediction
from templ.records import Target
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.templates.covalent_choice import choose_bond
from templ.templates.covalent_reaction import find_reactions, free_warheads
from templ.templates.residue_choice import AUTO, NONE, find_residues
from templ.templates.rule import TemplateRule

RESIDUE, REACH = "CYS145", 2.3
LEAVE_ONE_OUT = TemplateRule(exclude_same_ligand=True)


class Row(NamedTuple):
    """One ligand: RMSD of its poses, Angstrom; whether bonds were made, all sound, the first valid; CPU s."""

    id: str
    rmsd: tuple[float, ...]
    bonded: bool
    sound: bool
    valid: bool
    seconds: float


@lru_cache
def _mpro(folder: Path) -> tuple[Library, Receptor]:
    return open_library(open_set("demo-mpro", folder).library.path), read_receptor(demo_files().receptor)


def covalent_ligands(folder: Path) -> list[str]:
    """Ids of the ligands within reach of the sulphur."""
    library, receptor = _mpro(folder)
    atoms = receptor.atoms
    number = receptor.residues.numbers[atoms.residues]
    sulphur = atoms.xyz[(atoms.names == "SG") & (number == int(RESIDUE[3:]))][0]
    entries = [library.entry(row).id for row in range(len(library))]
    gaps = [
        np.linalg.norm(positions(library.ligand(row)) - sulphur, axis=1).min() for row in range(len(library))
    ]
    return [id for id, gap in zip(entries, gaps, strict=True) if gap < REACH]


def pose(folder: Path, covalent: str, id: str) -> Row:
    """Pose one ligand from the others."""
    library, receptor = _mpro(folder)
    truth = library.ligand(library.row_of(id))
    begin = process_time()
    outcome = predict(
        Target(id, to_smiles(truth)),
        library,
        PredictionSettings(covalent=covalent),
        rule=LEAVE_ONE_OUT,
        receptor=receptor,
    )
    bonds = [each.bond for each in outcome.poses if each.bond is not None]
    sound = all(
        abs(bond.length - bond_length(each.mol.GetAtomWithIdx(bond.atom), 16)) <= 0.1
        and abs(bond.at_residue - AT_RESIDUE[16]) <= 15
        for each in outcome.poses
        if (bond := each.bond) is not None
    )
    seconds = process_time() - begin
    if not outcome.poses:
        return Row(id, (), bonded=False, sound=True, valid=False, seconds=seconds)
    first = outcome.poses[0]
    bonded_to = "" if first.bond is None else first.bond.residue
    valid = not failed_checks(first.mol, receptor=receptor, bonded_to=bonded_to)
    rmsd = tuple(symmetric_rmsd(each.mol, truth) for each in outcome.poses)
    return Row(id, rmsd, bool(bonds), sound, valid, seconds)


def names_bond(name: str, folder: Path, mode: str, id: str) -> str:
    """What `auto` says of a target: ``bonded`` or ``free``; empty where its crystal has a bond."""
    chosen = open_set(name, folder)
    own = chosen.receptor(id)
    truth = chosen.truth(id)
    near = own.atoms.xyz[np.isin(own.atoms.names, ("SG", "OG", "OG1", "NZ", "OH"))]
    if np.linalg.norm(positions(truth)[:, None] - near, axis=-1).min(initial=np.inf) < REACH:
        return ""
    work = Prediction(
        chosen.target(id),
        chosen.library,
        PredictionSettings(),
        rule=chosen.rule,
        receptor=own if mode == "own" else None,
        own_receptor=mode == "own",
        protein=own.residues.sequences(),
    )
    try:
        screened = work.screen()
    except Refusal:
        return "free"
    receptor = screened.frame.receptor
    if receptor is None:
        return "free"
    mol = screened.query.mol
    residues = find_residues(receptor, screened.templates, AUTO)
    reacts = find_reactions(free_warheads(mol, AUTO), residues, AUTO)
    shown = choose_bond(mol, screened.templates, chosen.library, receptor, AUTO)
    return "bonded" if reacts or shown else "free"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--everywhere", action="store_true")
    options = parser.parse_args()
    folder = options.folder
    ids = covalent_ligands(folder)
    print(f"{len(ids)} covalent ligands; {os.cpu_count()} cores")
    found: dict[str, list[Row]] = {}
    with ProcessPoolExecutor() as executor:
        for covalent in (NONE, AUTO, RESIDUE):
            rows = found[covalent] = list(executor.map(partial(pose, folder, covalent), ids))
            bonded = [row for row in rows if row.bonded]
            right = [row.rmsd != () and row.rmsd[0] <= 2 for row in rows]
            low, high = wilson_interval(sum(right), len(rows))
            before = [row.rmsd != () and row.rmsd[0] <= 2 for row in found[NONE]]
            won = sum(now and not then for now, then in zip(right, before, strict=True))
            lost = sum(then and not now for now, then in zip(right, before, strict=True))
            print(
                f"{covalent:8} right {sum(right)} ({low:.0%} to {high:.0%}), of five "
                f"{sum(min(row.rmsd, default=99) <= 2 for row in rows)}, won {won} lost {lost} "
                f"(p {mcnemar(won, lost):.2f}), bonded {len(bonded)}, all sound "
                f"{sum(row.sound for row in bonded)}, valid {sum(row.valid for row in rows)}, "
                f"{median(row.seconds for row in rows):.1f} CPU s"
            )
        for row in zip(*found.values(), strict=True):
            print(f"{row[0].id:14}", "  ".join(f"{each.rmsd[0] if each.rmsd else 99:5.2f}" for each in row))
        if options.everywhere:
            for name in ALL:
                for mode in modes(name):
                    every = open_set(name, folder).ids
                    said = Counter(executor.map(partial(names_bond, name, folder, mode), every))
                    of = said["bonded"] + said["free"]
                    print(f"{name}, {mode}: `auto` names a bond for {said['bonded']} of {of}")


if __name__ == "__main__":
    main()
