"""What there is to look at of a target: drawings, poses, template, crystal and pocket, all in one frame."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from rdkit import Chem

from templ.errors import InputError, LibraryError, RunError
from templ.export.receptors import to_pdb
from templ.library.store import open_library
from templ.molecules import heavy, positions, quiet_rdkit
from templ.receptor import Receptor, read_receptor
from templ.report.drawings import draw, draw_pair, shared_atoms
from templ.runlog.libraries import open_targets, open_templates
from templ.runlog.poses import PoseAddress, read_poses
from templ.selection.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.library.store import Library
    from templ.report.collect import Results
    from templ.runlog.manifest import RunManifest

MOST_RANKS = 5
"""Poses that are shown."""
POCKET_REACH = 5.0
"""Angstrom from the ligand to the nearest atom of a residue that is shown."""


class Structures:
    """Finds the molecules of a run's targets.

    Parameters
    ----------
    results : Results
        Of a run or of a prediction.
    libraries : sequence of Path
        Where the libraries of the run are now, or the one of the prediction; a run's own are looked for where
        its manifest says.
    receptor : Path, optional
        Of a prediction, which does not say; by default the library's own.

    Attributes
    ----------
    notes : list of str
        What is not shown, and what to do about it; complete once all targets were asked for.

    Raises
    ------
    LibraryError
        When a library that was named cannot be opened.
    InputError
        When the receptor cannot be read, or is named for a run, which has its own.
    """

    def __init__(
        self, results: Results, libraries: Sequence[Path] = (), receptor: Path | None = None
    ) -> None:
        if receptor is not None and results.manifest is not None:
            raise InputError(
                f"{results.path} is a run and has its receptors: leave out --receptor {receptor}"
            )
        self._folder = results.folder
        self._receptor = None if receptor is None else read_receptor(receptor)
        self._missing_poses: list[str] = []
        self._notes: list[str] = []
        self.library: Library | None = None
        self.targets: Library | None = None
        if results.manifest is None:
            self._take_named(libraries)
        else:
            self._find(results.manifest, libraries)

    @property
    def notes(self) -> list[str]:
        """What is not shown, and what to do about it."""
        if not self._missing_poses:
            return self._notes
        count, first = len(self._missing_poses), self._missing_poses[0]
        return [*self._notes, f"The poses of {count:,} targets are not shown; the first: {first}."]

    def of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Drawings (SVG) and models of one target.

        Returns
        -------
        dict
            ``smiles``; ``query`` and ``template``, drawings, the second only where it is known; ``models``, a
            list of ``name``, ``format`` (sdf or pdb) and ``text``.
        """
        poses = self._poses(record)
        truth = self._truth(record["id"])
        query = poses[0] if poses else truth
        if query is None:
            return {"models": []}
        centre = positions(truth if truth is not None else query)
        receptor = self._receptor_of(record)
        template = self._template(record["template"], receptor, centre)
        shown: dict[str, Any] = {"smiles": Chem.MolToSmiles(query)}
        if template is None:
            shown["query"] = draw(query)
        else:
            core = []
            if poses and poses[0].HasProp("mcs_smarts"):
                smarts = poses[0].GetProp("mcs_smarts")
                core = shared_atoms(query, template, smarts, record["mcs_atoms"])
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
            shown["models"].append({"name": "pocket", "format": "pdb", "text": pocket_pdb(receptor, near)})
        return shown

    def _poses(self, record: Mapping[str, Any]) -> list[Mol]:
        """Poses, best first, without hydrogens."""
        address = PoseAddress.of(record)
        if address is None:
            return []
        try:
            text = read_poses(self._folder, address)
        except RunError as error:
            self._missing_poses.append(str(error))
            return []
        supplier = Chem.SDMolSupplier()
        with quiet_rdkit():
            supplier.SetData(text)
            poses = list(supplier)
        if None in poses:
            self._missing_poses.append(f"those of {record['id']} are damaged")
            return []
        return poses

    def _truth(self, id: str) -> Mol | None:
        if self.targets is None or id not in self.targets:
            return None
        return self.targets[id]

    def _receptor_of(self, record: Mapping[str, Any]) -> Receptor | None:
        """What the target binds to, in its frame."""
        if self._receptor is not None or self.library is None:
            return self._receptor
        if not self.library.has_receptors:
            path = self.library.receptor_path(record["group"])
            return None if path is None else _read_once(path)
        if self.targets is None or record["id"] not in self.targets:
            return None
        return self.targets.receptor(self.targets.row_of(record["id"]))

    def _template(self, id: str, receptor: Receptor | None, centre: NDArray[np.float64]) -> Mol | None:
        """The template where it was copied from: in the target's frame, heavy atoms."""
        if not id or self.library is None or id not in self.library:
            return None
        row = self.library.row_of(id)
        mol = heavy(self.library.ligand(row))
        if not self.library.has_receptors:
            return mol
        if receptor is None:
            return None
        place = Place(receptor.residues, site=centre.mean(axis=0))
        return mol if place.bring(mol, *self.library.residues(row)) else None

    def _take_named(self, libraries: Sequence[Path]) -> None:
        for path in libraries[:1]:
            self.library = open_library(path)
        if self.library is None:
            self._notes.append("Templates are not shown: name the library with --library.")
        if self._receptor is None and (self.library is None or self.library.has_receptors):
            self._notes.append("The pocket is not shown: name the receptor with --receptor.")

    def _find(self, manifest: RunManifest, libraries: Sequence[Path]) -> None:
        for path in libraries:  # one that was named and is none is an error, not a page without it
            open_library(path).close()
        try:
            self.library = open_templates(self._folder, manifest, libraries)
        except (RunError, LibraryError) as error:
            self._notes.append(f"Templates and pockets are not shown: {error}.")
        try:
            self.targets = open_targets(self._folder, manifest, libraries)
        except (RunError, LibraryError) as error:
            self._notes.append(f"Crystal poses, and queries without a pose, are not shown: {error}.")


def pocket_pdb(receptor: Receptor, ligand: NDArray[np.float64]) -> str:
    """Write the residues, metals and cofactors around a ligand as PDB text.

    Parameters
    ----------
    receptor : Receptor
        In the frame of the ligand.
    ligand : array, shape (n, 3)
        Angstrom.
    """
    atoms = receptor.atoms
    apart = np.full(len(atoms), np.inf)
    for point in ligand:  # one atom at a time: a whole receptor against a ligand would be 100 MB
        np.minimum(apart, np.linalg.norm(atoms.xyz - point, axis=1), out=apart)
    near = apart <= POCKET_REACH
    whole = np.isin(atoms.residues, atoms.residues[near]) & (atoms.residues >= 0)
    return to_pdb(Receptor(receptor.residues, atoms.only(near | whole), receptor.pocket))


@lru_cache(maxsize=4)
def _read_once(path: Path) -> Receptor:
    return read_receptor(path)
