"""Writes the first poses of a run as a series for free energy calculations: in one frame, with atom maps.

As openfe and its kin read them: an SDF with explicit hydrogens and formal charges, the receptor beside it,
and for each ligand which of its atoms are those of the reference (a star: every edge has the reference).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import positions, quiet_rdkit
from templ.chemistry.receptor import around
from templ.disk import make_folder, replacing
from templ.errors import InputError
from templ.evaluation.crystal_frame import carry
from templ.evaluation.run import Run, load_run
from templ.export.pdb import to_pdb
from templ.export.run_export import Exported
from templ.library.fingerprints import fingerprint, tanimoto
from templ.runs.record import Record
from templ.runs.run_libraries import find_receptors
from templ.templates.mcs import connected_cores
from templ.templates.target_receptor import TargetReceptors

LIGANDS, RECEPTOR, ATOM_MAPS = "ligands.sdf", "receptor.pdb", "atom_maps.json"
BROUGHT = "brought_from"
"""Property of a pose that was in another receptor: which."""
LEAST_CORE = 6
"""Heavy atoms: with fewer in common two ligands are no series."""
APART = 1.0
"""Angstrom RMSD of the shared heavy atoms above which a pose does not agree with that of the reference."""

Pairs = list[tuple[int, int]]


def export_series(run: str | Path, out: str | Path, *, libraries: Sequence[str | Path] = ()) -> Exported:
    """Write the first pose of each molecule of a run, all in the receptor of one of them, and atom maps.

    The reference is the molecule most similar to all others. Poses in another receptor than its own are
    brought into its frame by superposing the pockets. One molecule is held at a time.

    Parameters
    ----------
    run : str or Path
        A run folder, or the poses that `templ predict` wrote.
    out : str or Path
        Folder to make; it must be absent or empty.
    libraries : sequence of str or Path
        Where the libraries of the run are, should they have been moved.

    Returns
    -------
    Exported
        Its table is ``atom_maps.json``, written last; `unposed` are all that are not in the SDF.

    Raises
    ------
    InputError
        When `out` is in use, nothing is posed, or poses have no receptor.
    RunError
        When `run` is no run, or its results or libraries are damaged or gone.
    StorageError
        When the disk refuses.
    """
    loaded, out = load_run(run), Path(out)
    if out.resolve().is_relative_to(loaded.path.resolve()):
        raise InputError(f"{out} is in the run itself; choose another folder")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another folder")
    with ExitStack() as stack:
        named = [Path(library) for library in libraries]
        templates = stack.enter_context(loaded.templates(named))
        targets = stack.enter_context(loaded.targets(named)) if loaded.manifest.identity.truth else None
        receptors = TargetReceptors(
            templates, targets, find_receptors(loaded.path, loaded.manifest, templates.path)
        )
        series = _Series(loaded, receptors, _reference(loaded))
        make_folder(out)
        maps: list[dict[str, Any]] = []
        apart: list[dict[str, str]] = []
        total = written = 0
        with replacing(out / LIGANDS) as file:
            for record in loaded:
                total += 1
                pose = series.pose(record)
                if isinstance(pose, str):
                    apart.append({"ligand": record.id, "why": pose})
                    continue
                file.write(_sdf(pose).encode())
                written += 1
                if record.id == series.reference.id:
                    continue
                edge = series.atom_map(record.id, pose)
                if isinstance(edge, str):
                    apart.append({"ligand": record.id, "why": edge})
                else:
                    maps.append(edge)
    with replacing(out / RECEPTOR) as file:
        file.write(to_pdb(series.receptor).encode())
    with replacing(out / ATOM_MAPS) as file:
        file.write(_json({"reference": series.reference.id, "maps": maps, "without_map": apart}).encode())
    manifest = loaded.manifest
    return Exported(out / ATOM_MAPS, total, written, total - written, manifest.targets, manifest.molecules)


def told(path: Path) -> Iterator[str]:
    """Say which ligands of ``atom_maps.json`` have no map, or do not lie where the reference lies."""
    content = json.loads(path.read_bytes())
    name = content["reference"]
    yield f"reference: {name}"
    for edge in content["maps"]:
        if not edge["agrees"]:
            yield (
                f"{edge['componentB']}: its core lies {edge['core_rmsd']:.1f} A from that of {name}; "
                f"template {edge['template']}, confidence {edge['confidence']:.2f}"
            )
    if brought := [edge["componentB"] for edge in content["maps"] if edge[BROUGHT] is not None]:
        yield (
            f"brought from other receptors, not looked at for clashes in this one: {', '.join(brought)}; "
            "predict with --receptor to pose all in one"
        )
    for ligand in content["without_map"]:
        yield f"{ligand['ligand']}: no atom map: {ligand['why']}"


class _Series:
    """What the poses of a run are compared with: the reference's, in its receptor."""

    def __init__(self, run: Run, receptors: TargetReceptors, reference: Record) -> None:
        receptor = receptors.of(reference.id, reference.receptor)
        if receptor is None:
            raise InputError(
                f"{run.path}: its poses have no receptor, which a series needs; predict again with --receptor"
            )
        self._run, self._receptors = run, receptors
        self.reference, self.receptor = reference, receptor
        self._mol = run.poses(reference)[0]
        self._where = self._receptor_of(reference)

    def pose(self, record: Record) -> Chem.Mol | str:
        """First pose of a molecule in the reference's frame, titled by its id, or why there is none."""
        if record.address is None:
            return f"{record.status}, {record.reason}"
        pose = self._run.poses(record)[0]
        where = self._receptor_of(record)
        if where == self._where:
            return pose
        its = self._receptors.of(record.id, record.receptor)
        if its is None:
            return "it has no receptor"
        cut = around(its, positions(_heavy(pose)[0]))
        near = positions(self._mol).mean(axis=0)
        moved = carry(pose, cut.residues, cut.pocket, self.receptor.residues, near)
        if not moved:
            return f"its receptor {where} cannot be superposed on {self._where}, that of the reference"
        moved[0].SetProp(BROUGHT, str(where))
        return moved[0]

    def atom_map(self, id: str, pose: Chem.Mol) -> dict[str, Any] | str:
        """Say which atoms of the reference a ligand has, and how far they lie apart, or why none is said."""
        own, own_atoms = _heavy(self._mol)
        its, its_atoms = _heavy(pose)
        cores = connected_cores(own, its)
        if not cores or len(cores[0]) < LEAST_CORE:
            return f"no connected core of {LEAST_CORE} atoms in common with the reference"
        here, there = positions(own), positions(its)
        gap, core = min(
            ((_gap(core, here, there), core) for core in cores), key=lambda each: round(each[0], 6)
        )
        pairs = [(own_atoms[a], its_atoms[b]) for a, b in core.items()]
        pairs += _hydrogens(self._mol, pose, pairs)
        if _inverted(self._mol, pose, pairs):
            return "a stereocentre of the core is the other way round in the reference"
        return {
            "componentA": self.reference.id,
            "componentB": id,
            "componentA_to_componentB": sorted(pairs),
            "core_atoms": len(core),
            "core_rmsd": round(gap, 3),
            "agrees": gap <= APART,
            "confidence": float(pose.GetProp("confidence")),
            "template": pose.GetProp("template"),
            "brought_from": pose.GetProp(BROUGHT) if pose.HasProp(BROUGHT) else None,
        }

    def _receptor_of(self, record: Record) -> str:
        """What a molecule was posed in: a crystal, a file, or its own."""
        if self._receptors.is_other_crystal(record.id, record.receptor):
            return record.receptor
        path = self._receptors.file_of(record.id, record.receptor)
        return record.id if path is None else str(path)


def _reference(run: Run) -> Record:
    """Choose the molecule with a pose that is most similar to all others, of equals the first."""
    ids, prints = list[str](), list[NDArray[np.uint64]]()
    for record in run:
        if record.address is not None:
            ids.append(record.id)
            prints.append(fingerprint(run.poses(record)[0]))
    if not ids:
        raise InputError(f"{run.path}: no molecule has a pose; there is no series to write")
    every = np.array(prints)
    alike = [float(tanimoto(each, every).sum(dtype=np.float64)) for each in every]
    return run[ids[int(np.argmax(np.round(alike, 6)))]]


def _heavy(mol: Chem.Mol) -> tuple[Chem.Mol, list[int]]:
    """Copy without hydrogens, and which atom of the molecule each of its atoms is."""
    with quiet_rdkit():
        return Chem.RemoveAllHs(mol), [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]


def _gap(core: dict[int, int], here: NDArray[np.float64], there: NDArray[np.float64]) -> float:
    return float(rmsd(here[list(core)], there[list(core.values())]))


def _hydrogens(mol: Chem.Mol, other: Chem.Mol, pairs: Pairs) -> Pairs:
    """Pair the hydrogens on atoms that are paired, the nearest first."""
    here, there = positions(mol), positions(other)
    found: Pairs = []
    for a, b in pairs:
        own, its = _hydrogens_of(mol, a), _hydrogens_of(other, b)
        while own and its:
            first, second = min(
                ((h, k) for h in own for k in its),
                key=lambda pair: float(np.linalg.norm(here[pair[0]] - there[pair[1]])),
            )
            found.append((first, second))
            own.remove(first)
            its.remove(second)
    return found


def _hydrogens_of(mol: Chem.Mol, atom: int) -> list[int]:
    near = mol.GetAtomWithIdx(atom).GetNeighbors()
    return [neighbour.GetIdx() for neighbour in near if neighbour.GetAtomicNum() == 1]


def _inverted(mol: Chem.Mol, other: Chem.Mol, pairs: Pairs) -> bool:
    """Whether a stereocentre of both has three paired neighbours that lie the other way round."""
    onto, here, there = dict(pairs), positions(mol), positions(other)
    for a, b in pairs:
        tags = mol.GetAtomWithIdx(a).GetChiralTag(), other.GetAtomWithIdx(b).GetChiralTag()
        ends = [near.GetIdx() for near in mol.GetAtomWithIdx(a).GetNeighbors() if near.GetIdx() in onto][:3]
        if Chem.ChiralType.CHI_UNSPECIFIED in tags or len(ends) < 3:
            continue
        own = np.linalg.det(here[ends] - here[a])
        its = np.linalg.det(there[[onto[end] for end in ends]] - there[b])
        if own * its < 0:
            return True
    return False


def _json(content: dict[str, Any]) -> str:
    """JSON with a line for each ligand."""
    parts = []
    for name, value in content.items():
        lines = ",\n  ".join(map(json.dumps, value)) if isinstance(value, list) else ""
        text = json.dumps(value) if isinstance(value, str) else f"[\n  {lines}\n ]" if lines else "[]"
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _sdf(mol: Chem.Mol) -> str:
    """One record of an SDF."""
    text = io.StringIO()
    with Chem.SDWriter(text) as writer:
        writer.write(mol)
    return text.getvalue()
