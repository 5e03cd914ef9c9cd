"""What there is to look at of a target: drawings, poses, template, crystal and pocket, all in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import Mol

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.reactive_residue import turned_side_chain
from templ.chemistry.receptor import Receptor
from templ.errors import LibraryError, RunError
from templ.evaluation.crystal_frame import crystal_poses
from templ.evaluation.run import Run
from templ.export.pdb import to_pdb
from templ.library.store import Library, open_library
from templ.pictures.drawings import draw, draw_pair, draw_smiles
from templ.poses.pose_file import read_bond
from templ.runs.record import PoseRecord, Record
from templ.runs.run_libraries import find_receptors
from templ.templates.frame import Frame
from templ.templates.target_receptor import TargetReceptors

MOST_RANKS = 5
"""Poses that are shown."""
POCKET_REACH = 5.0
"""Angstrom from the ligand to the nearest atom of a residue that is shown."""


class Structures:
    """Finds the molecules of a run's targets.

    Parameters
    ----------
    libraries : sequence of Path
        Where the libraries of the run are now; else they are looked for where its manifest says.

    Raises
    ------
    LibraryError
        When a library that was named cannot be opened.
    InputError
        When the receptor of a prediction cannot be read.
    """

    def __init__(self, run: Run, libraries: Sequence[Path] = ()) -> None:
        self._run = run
        self._missing_poses: list[str] = []
        self._notes: list[str] = []
        self.library: Library | None = None
        self.targets: Library | None = None
        self._receptors: TargetReceptors | None = None
        for path in libraries:  # one that was named and is none is an error, not a page without it
            open_library(path).close()
        try:
            self.library = run.templates(libraries)
        except (RunError, LibraryError) as error:
            self._notes.append(f"Templates and pockets are not shown: {error}.")
        if run.manifest.identity.truth:
            try:
                self.targets = run.targets(libraries)
            except (RunError, LibraryError) as error:
                self._notes.append(f"Crystal poses, and queries without a pose, are not shown: {error}.")
                return
        files = find_receptors(run.path, run.manifest, None if self.library is None else self.library.path)
        gone = [str(file) for file in files if not file.is_file()]
        if gone:
            self._notes.append(f"The pocket is not shown: {', '.join(gone)} is gone.")
        elif self.library is not None:
            self._receptors = TargetReceptors(self.library, self.targets, files)

    @property
    def notes(self) -> list[str]:
        """What is not shown, and what to do about it; complete once all targets were asked for."""
        if not self._missing_poses:
            return self._notes
        count, first = len(self._missing_poses), self._missing_poses[0]
        return [*self._notes, f"The poses of {count:,} targets are not shown; the first: {first}."]

    def of(self, record: Record) -> dict[str, Any]:
        """Drawings (SVG) and models of one target.

        Returns
        -------
        dict
            ``smiles``; ``query`` and ``template``, drawings, the second only where it is known; ``models``, a
            list of ``name``, ``format`` (sdf or pdb) and ``text``.
        """
        poses = self.poses(record)
        receptor = self.receptor(record)
        truth = self.truth(record, receptor)
        query = poses[0] if poses else truth
        if query is None:
            return drawn_alone(record)
        centre = positions(truth if truth is not None else query)
        template = self.template(record.first, receptor, centre)
        shown: dict[str, Any] = {"smiles": Chem.MolToSmiles(query)}
        if template is None:
            shown["query"] = draw(query)
        else:
            core = record.first.core if record.first is not None else ()
            shown["query"], shown["template"] = draw_pair(query, template, core)
        models = [(f"rank {rank}", pose) for rank, pose in enumerate(poses[:MOST_RANKS], 1)]
        models += [("template", template), ("crystal", truth)]
        shown["models"] = [
            {"name": name, "format": "sdf", "text": Chem.MolToMolBlock(mol)}
            for name, mol in models
            if mol is not None
        ]
        if receptor is not None:
            near = centre if not poses else np.concatenate([centre, positions(poses[0])])
            if poses and (bond := read_bond(poses[0])) is not None:
                receptor = turned_side_chain(receptor, bond.residue, bond.position)
            shown["models"].append({"name": "pocket", "format": "pdb", "text": pocket_pdb(receptor, near)})
        return shown

    def poses(self, record: Record) -> list[Mol]:
        """Poses, best first, without hydrogens."""
        try:
            return [heavy(pose) for pose in self._run.poses(record)]
        except RunError as error:
            self._missing_poses.append(str(error))
            return []

    def truth(self, record: Record, receptor: Receptor | None) -> Mol | None:
        """The crystal pose, in the frame of the poses; None where it is not known."""
        if self.targets is None or record.id not in self.targets:
            return None
        if self.library is None:
            return self.targets[record.id]
        name = record.receptor
        return next(iter(crystal_poses(self.targets, record.id, self.library, receptor, name)), None)

    def receptor(self, record: Record) -> Receptor | None:
        """What the molecule binds to, in its frame; None where there is none."""
        return None if self._receptors is None else self._receptors.of(record.id, record.receptor)

    def template(
        self, pose: PoseRecord | None, receptor: Receptor | None, centre: NDArray[np.float64]
    ) -> Mol | None:
        """The template of a pose where it was copied from: in the target's frame, heavy atoms.

        `centre`, shape (atoms, 3), Angstrom, says near what it lies, where the receptor has its pocket twice.
        """
        if pose is None or self.library is None or pose.template not in self.library:
            return None
        row = self.library.row_of(pose.template)
        mol = heavy(self.library.ligand(row))
        if receptor is None and self.library.has_receptors:
            return None
        frame = Frame.of(self.library, receptor, centre.mean(axis=0))
        return mol if not frame.brings or frame.bring(self.library, row, mol) else None


def drawn_alone(record: Record) -> dict[str, Any]:
    """What there is to look at where no structure is: the drawing of the SMILES, if that can be read."""
    drawing = draw_smiles(record.smiles)
    return {"smiles": record.smiles, "query": drawing, "models": []} if drawing else {"models": []}


def pocket_pdb(receptor: Receptor, ligand: NDArray[np.float64]) -> str:
    """Write what lies around a ligand, shape (n, 3), Angstrom: residues, metals, cofactors, as PDB text."""
    atoms = receptor.atoms
    apart = np.full(len(atoms), np.inf)
    for point in ligand:  # one atom at a time: a whole receptor against a ligand would be 100 MB
        np.minimum(apart, np.linalg.norm(atoms.xyz - point, axis=1), out=apart)
    near = apart <= POCKET_REACH
    whole = np.isin(atoms.residues, atoms.residues[near]) & (atoms.residues >= 0)
    return to_pdb(Receptor(receptor.residues, atoms.only(near | whole), receptor.pocket))
