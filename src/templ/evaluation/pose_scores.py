"""Scores anybody's poses against crystals: RMSD, physical validity and contacts, always side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rdkit.Chem import Mol

from templ.chemistry.receptor import Receptor
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError
from templ.evaluation.bonded_form import in_form_of
from templ.evaluation.interface_scores import has_peppr, interface_scores
from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.validity import PACKAGE as POSEBUSTERS
from templ.evaluation.validity import failed_checks
from templ.library.store import Library, open_library
from templ.poses.pose_file import bond_of
from templ.sources.files import file_stem
from templ.sources.ledger import Ledger
from templ.sources.sdf import SdfRecord, read_records, read_sdf


@dataclass(frozen=True, slots=True)
class PoseScore:
    """How good one pose is.

    Attributes
    ----------
    id : str
        Title of its record.
    rank : int
        Its position among those of this title in the file, from 1.
    rmsd : float or None
        From the crystal, in place, heavy atoms, the best over symmetry, Angstrom.
    failed_checks : tuple of str or None
        PoseBusters checks that it fails; None where they were not made.
    lddt_pli, bisy_rmsd : float or None
        Share of the crystal's contacts that it keeps, 0 to 1, and RMSD after superposing the pocket,
        Angstrom; None where they were not computed, or are not defined.
    problem : str
        Why it could not be judged; empty where it was.
    """

    id: str
    rank: int
    rmsd: float | None = None
    failed_checks: tuple[str, ...] | None = None
    lddt_pli: float | None = None
    bisy_rmsd: float | None = None
    problem: str = ""


def score_poses(
    poses: str | Path,
    truth: str | Path,
    receptor: str | Path | None = None,
    truth_receptor: str | Path | None = None,
    *,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Iterator[PoseScore]:
    """Score the poses of an SDF file, one after the other.

    Parameters
    ----------
    poses : str or Path
        SDF, each record titled by the id of its molecule, the best pose of each first.
    truth : str or Path
        Crystal poses by the same ids: an SDF file, or a template library. An SDF with a single molecule is
        the crystal of all poses.
    receptor : str or Path, optional
        PDB or mmCIF that the poses lie in; by default that of the crystal.
    truth_receptor : str or Path, optional
        PDB or mmCIF of the crystal, where it is another; by default the library's, or `receptor`.
    on_progress : callable
        Told how many poses are done.

    Raises
    ------
    InputError
        At once, when a file as a whole cannot be read.
    """
    crystals = _Crystals(Path(truth), None if truth_receptor is None else Path(truth_receptor))
    lies_in = None if receptor is None else read_receptor(Path(receptor))
    records = read_records(poses, ledger := Ledger())

    def scores() -> Iterator[PoseScore]:
        ranks: Counter[str] = Counter()
        with crystals:
            for done, record in enumerate(records, 1):
                id = record.title or f"{file_stem(poses)}-{record.number}"
                ranks[id] += 1
                yield _score(id, ranks[id], record, crystals, lies_in)
                on_progress(done)
            for row in ledger.first:
                yield PoseScore(row.id or f"record {row.record}", 0, problem=row.reason)

    return scores()


def _score(
    id: str, rank: int, record: SdfRecord, crystals: _Crystals, receptor: Receptor | None
) -> PoseScore:
    pose = record.mol
    truth = crystals.pose(id)
    if truth is None:
        return PoseScore(id, rank, problem="no crystal of this id")
    crystal = crystals.receptor(id) or receptor
    lies_in = receptor or crystal
    try:
        rmsd, bond = symmetric_rmsd(pose, truth), bond_of(record.properties)
    except InputError as error:
        return PoseScore(id, rank, problem=str(error))
    truth = in_form_of(truth, pose)
    checks = None
    if find_spec(POSEBUSTERS):
        bonded_to = "" if bond is None else bond.residue
        checks = tuple(failed_checks(pose, truth=truth, receptor=lies_in, bonded_to=bonded_to))
    lddt = bisy = None
    if lies_in is not None and crystal is not None and has_peppr():
        lddt, bisy = interface_scores(pose, lies_in, truth, crystal)
    return PoseScore(id, rank, rmsd, checks, lddt, bisy)


class _Crystals:
    """Crystal poses by id, and what they lie in."""

    def __init__(self, path: Path, receptor: Path | None) -> None:
        self._library: Library | None = None
        self._mols: dict[str, Mol] = {}
        self._receptor = None if receptor is None else read_receptor(receptor)
        if path.is_dir():
            self._library = open_library(path)
            return
        for entry in read_sdf(path, Ledger()):
            if entry.id in self._mols:
                raise InputError(f"{path} has two molecules titled {entry.id!r}; expected one of each")
            self._mols[entry.id] = entry.mol
        if not self._mols:
            raise InputError(f"{path}: no molecule in it can be read; expected the crystal poses as SDF")

    def __enter__(self) -> _Crystals:
        return self

    def __exit__(self, *_: object) -> None:
        if self._library is not None:
            self._library.close()

    def pose(self, id: str) -> Mol | None:
        """Crystal pose of a molecule; None where there is none."""
        if self._library is not None:
            return self._library[id] if id in self._library else None  # noqa: SIM401  no mapping
        return next(iter(self._mols.values())) if len(self._mols) == 1 else self._mols.get(id)

    def receptor(self, id: str) -> Receptor | None:
        """What the crystal has around it; None where nobody said."""
        if self._receptor is not None or self._library is None:
            return self._receptor
        return self._library.receptor_of(id) if self._library.has_receptors else None


def first_poses(scores: Sequence[PoseScore]) -> list[PoseScore]:
    """The first pose of each molecule that has one."""
    return [score for score in scores if score.rank == 1]
