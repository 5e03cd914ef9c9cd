"""The small frozen records that travel between the parts of TEMPL.

None of them holds more than one target's data; those that cross a process border are plain values.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Literal

from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rdkit.Chem import Mol

    from templ.chemistry.receptor import Receptor
    from templ.chemistry.structure_header import AtomName
    from templ.sources.sdf import MoleculeReference

Status = Literal["posed", "refused", "failed"]
DOUBTFUL = 0.5
"""Confidence below which a pose is doubtful."""
CONFIDENCE_WORDS: Sequence[tuple[float, str]] = (
    (0.9, "very likely right"),
    (0.7, "likely right"),
    (DOUBTFUL, "more likely right than wrong"),
    (0.3, "doubtful"),
    (0.0, "probably wrong"),
)
"""What a confidence is called from which on, in the terminal, the report, the web app and notebooks."""


def confidence_in_words(confidence: float) -> str:
    """Say how likely a pose is right.

    Examples
    --------
    >>> confidence_in_words(0.95), confidence_in_words(0.4)
    ('very likely right', 'doubtful')
    """
    return next(words for least, words in CONFIDENCE_WORDS if confidence >= least)


@dataclass(frozen=True, slots=True)
class Entry:
    """One molecule as a source read it.

    Attributes
    ----------
    id : str
        Unique within a library.
    mol : rdkit.Chem.Mol
        Sanitised, as the file has it: hydrogens and all fragments still there.
    source : str
        Where it came from, ``file#record`` (records count from 1).
    name : str
        The title line of the record; empty when the file gives none.
    date : datetime.date or None
        Day the crystal became known.
    group : str
        Protein, frame or series it belongs to; empty when there is only one.
    receptor : Receptor or None
        What the molecule is bound to, in its frame, where the source tells.
    reference : MoleculeReference or None
        Where its record lies, when that was an SDF file.
    resolution : float or None
        Of the crystal, Angstrom, where the source tells.
    links : frozenset of AtomName
        Atoms of the protein that the source says the molecule is bonded to; others are found by distance.
    """

    id: str
    mol: Mol
    source: str
    name: str = ""
    date: datetime.date | None = None
    group: str = ""
    receptor: Receptor | None = None
    reference: MoleculeReference | None = None
    resolution: float | None = None
    links: frozenset[AtomName] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """One prediction to make: a light reference, no molecule.

    Attributes
    ----------
    id : str
        Name in the results.
    smiles : str
        The query.
    group : str
        Decides with the benchmark's rule which templates may be used.
    date : datetime.date or None
        Templates from this day on are in the target's future.
    ligand_key : str
        First block of the InChIKey: the same ligand, whatever its charge and stereochemistry; made from the
        SMILES where it is needed and empty.
    split : str
        The part of a data set it belongs to (train, val, test); empty when there are none.
    """

    id: str
    smiles: str
    group: str = ""
    date: datetime.date | None = None
    ligand_key: str = ""
    split: str = ""

    def __post_init__(self) -> None:
        if self.date is not None and not isinstance(self.date, datetime.date):
            raise InputError(
                f"target {self.id}: date is {self.date!r}; expected a day, such as "
                "datetime.date.fromisoformat('2020-04-01')"
            )


@dataclass(frozen=True, slots=True)
class PoseBond:
    """The covalent bond of a pose to its receptor.

    Attributes
    ----------
    residue, residue_atom : str
        Such as ``A:CYS145`` and ``SG``.
    position : tuple of float
        Where that atom is once its side chain has turned for the bond: x, y, z, Angstrom.
    atom : int
        The pose's atom, by index.
    length : float
        Angstrom.
    at_residue, at_ligand : float
        Degrees at the two atoms; at the ligand's the one that is farthest from what it should be.
    sound : bool
        Whether length and angles are as they should be.
    """

    residue: str
    residue_atom: str
    position: tuple[float, float, float]
    atom: int
    length: float
    at_residue: float
    at_ligand: float
    sound: bool = True

    def rounded(self) -> PoseBond:
        """Return it as it is kept: to 0.001 Angstrom and 0.1 degrees."""
        x, y, z = (round(number, 3) for number in self.position)
        return replace(
            self,
            position=(x, y, z),
            length=round(self.length, 3),
            at_residue=round(self.at_residue, 1),
            at_ligand=round(self.at_ligand, 1),
        )

    def __str__(self) -> str:
        angles = f"angles {self.at_residue:.0f} and {self.at_ligand:.0f} degrees"
        return f"atom {self.atom + 1} to {self.residue_atom} of {self.residue}, {self.length:.2f} A, {angles}"


@dataclass(frozen=True, slots=True)
class Pose:
    """One pose handed out, ranked.

    Attributes
    ----------
    mol : rdkit.Chem.Mol
        The query with hydrogens and one conformer, Angstrom, in the frame of the templates.
    rank : int
        1 is best.
    score : float
        What poses are ranked by: the share of the probability among all sampled poses that lies near this
        one, 0 to 1.
    confidence : float
        Probability that the pose lies within 2 Angstrom of the true one, 0 to 1.
    terms : Mapping[str, float]
        The terms of the score (`templ.scoring.terms`), of these coordinates.
    template_id : str
        The template that the pose lies on: most of the atoms that they share are near the template's. An
        overlay's is the one that it was laid onto.
    method : str
        How it was placed: ``core``, ``partial-core``, ``overlay``, ``docking``, or ``extra`` where another
        program made it; ``monte-carlo`` when such a pose was
        moved since and came to rest elsewhere.
    core : Mapping of int to int
        Atoms shared with it: index in the query, and in the template; empty for an overlay.
    core_smarts : str
        The shared substructure; empty for an overlay.
    core_rmsd : float
        RMSD in Angstrom between these atoms and the template's; 0 where there are none.
    superposition : Mapping[str, float]
        How the template was brought into the query's frame: ``identity`` and ``pocket_identity`` (0 to 1),
        ``pocket_rmsd`` (C-alpha, Angstrom), ``pairs`` (residues); empty where all share one frame.
    pocket : tuple of str
        Residues within 4.5 Angstrom of it, such as ``A:HIS41``; empty without a receptor.
    bond : PoseBond or None
        Of a pose that is bonded to the receptor.
    """

    mol: Mol
    rank: int
    score: float
    confidence: float
    terms: Mapping[str, float]
    template_id: str
    method: str
    core: Mapping[int, int]
    core_smarts: str
    core_rmsd: float
    superposition: Mapping[str, float] = field(default_factory=dict)
    pocket: tuple[str, ...] = ()
    bond: PoseBond | None = None

    @property
    def smiles(self) -> str:
        """The molecule that was posed: which isomer, where the query left that open."""
        from templ.chemistry.molecules import to_smiles

        return to_smiles(self.mol)

    def __repr__(self) -> str:
        likely = f"confidence {self.confidence:.2f}"
        return f"<Pose {self.rank}: {likely}, template {self.template_id}, {self.method}>"

    def _repr_html_(self) -> str:
        from templ.pictures.notebook import picture, view

        told = f"{repr(self)[1:-1]}, {confidence_in_words(self.confidence)}"
        return f"<div>{picture(self.mol, self.core)}</div><div>{escape(told)}</div>{view([self.mol])}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one query ended: with poses, or with the reason there are none.

    Attributes
    ----------
    id : str
        The target's id.
    status : {"posed", "refused", "failed"}
        ``refused`` by a limit of the method; ``failed`` by a fault.
    reason : str
        Short word when there is no pose (``no-template``, ``peptide``, ...); empty when posed.
    detail : str
        The reason as a sentence.
    poses : tuple of Pose
        Best first.
    notes : tuple of str
        What the user should know: a salt was stripped, a fallback was used.
    pose_notes : tuple of str
        What is true of the first pose alone, while isomers and receptors are still being chosen from; among
        `notes` in the end.
    templates_allowed, templates_used : int
        Library entries that the rule let through, and those whose coordinates were copied.
    best_tanimoto : float
        Similarity of the most similar template.
    best_identity : float or None
        Sequence identity of the most related receptor among them; None where all share one frame.
    prior_confidence : float or None
        Probability, from the templates alone, that the first pose will be right; None when none was found.
    receptor : str
        Id of the library's crystal whose receptor it was posed in, or name of that one of several given;
        empty where one was given, or none is needed.
    stereo_kept : bool or None
        Whether all stereocentres of all poses are the query's; None without poses.
    seconds : Mapping[str, float]
        Wall time of each stage.
    """

    id: str
    status: Status
    reason: str = ""
    detail: str = ""
    poses: tuple[Pose, ...] = ()
    notes: tuple[str, ...] = ()
    pose_notes: tuple[str, ...] = ()
    templates_allowed: int = 0
    templates_used: int = 0
    best_tanimoto: float = 0.0
    best_identity: float | None = None
    prior_confidence: float | None = None
    receptor: str = ""
    stereo_kept: bool | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        if not self.poses:
            return f"<Outcome {self.id}: {self.status}, {self.reason}>"
        return f"<Outcome {self.id}: {self.status}, {len(self.poses)} poses, the first {self.poses[0]!r}>"

    def _repr_html_(self) -> str:
        if not self.poses:
            return f"<div>{escape(f'{self.id}: {self.status}, {self.reason}: {self.detail}')}</div>"
        from templ.pictures.notebook import picture, view

        first = self.poses[0]
        head = "".join(f"<th>{name}</th>" for name in ("rank", "confidence", "score", "template", "method"))
        rows = "".join(
            f"<tr><td>{pose.rank}</td><td>{pose.confidence:.2f}, {confidence_in_words(pose.confidence)}</td>"
            f"<td>{pose.score:.2f}</td>"
            f"<td>{escape(pose.template_id)}</td><td>{escape(pose.method)}</td></tr>"
            for pose in self.poses
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return (
            f"<div><b>{escape(self.id)}</b>: {self.status}</div><div>{picture(first.mol, first.core)}</div>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>"
            f"{view([pose.mol for pose in self.poses])}"
        )
