"""The small frozen records that travel between the parts of TEMPL.

None of them holds more than one target's data; those that cross a process border are plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping

    from rdkit.Chem import Mol

    from templ.receptor import Receptor

Status = Literal["posed", "refused", "failed"]


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
    """

    id: str
    mol: Mol
    source: str
    name: str = ""
    date: datetime.date | None = None
    group: str = ""
    receptor: Receptor | None = None


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
        First block of the InChIKey: the same ligand, whatever its charge and stereochemistry.
    split : str
        The part of a data set it belongs to (train, val, test); empty when there are none.
    """

    id: str
    smiles: str
    group: str = ""
    date: datetime.date | None = None
    ligand_key: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Pose:
    """One ranked answer.

    Attributes
    ----------
    mol : rdkit.Chem.Mol
        The query with hydrogens and one conformer, Angstrom, in the frame of the templates.
    rank : int
        1 is best.
    score : float
        What the ranking sorts by: the share of the probability among all sampled poses that lies near this
        one, 0 to 1.
    confidence : float
        Probability that the pose lies within 2 Angstrom of the true one, 0 to 1.
    parts : Mapping[str, float]
        The terms of the score.
    template_id : str
        The template whose coordinates were copied, at first.
    way : str
        ``core``, ``partial-core`` or ``overlay``: how the pose was placed; ``search`` when a pose that was
        placed so has been shaken and came to rest elsewhere.
    mcs_atoms : int
        Number of query atoms pinned to the template (0 for an overlay).
    mcs_smarts : str
        The shared substructure; empty for an overlay.
    core_rmsd : float
        RMSD in Angstrom between the pinned atoms and the template's; 0 when nothing was pinned.
    superposition : Mapping[str, float]
        How the template was brought into the query's frame: ``identity`` and ``pocket_identity`` (0 to 1),
        ``pocket_rmsd`` (C-alpha, Angstrom), ``pairs`` (residues); empty where all share one frame.
    """

    mol: Mol
    rank: int
    score: float
    confidence: float
    parts: Mapping[str, float]
    template_id: str
    way: str
    mcs_atoms: int
    mcs_smarts: str
    core_rmsd: float
    superposition: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one query ended: with poses, or with the reason there are none.

    Attributes
    ----------
    id : str
        The target's id.
    status : {"posed", "refused", "failed"}
        Policy says ``refused``; a fault says ``failed``.
    reason : str
        Short word when there is no pose (``no-template``, ``peptide``, ...); empty when posed.
    detail : str
        The reason as a sentence.
    poses : tuple of Pose
        Best first.
    notes : tuple of str
        What the user should know: a salt was stripped, a fallback was used.
    templates_allowed, templates_used : int
        Library entries that the rule let through, and those whose coordinates were copied.
    best_tanimoto : float
        Similarity of the most similar template.
    best_identity : float or None
        Sequence identity of the most related receptor among them; None where all share one frame.
    prospect : float or None
        Probability, from the templates alone, that the first pose will be right; None when none was found.
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
    templates_allowed: int = 0
    templates_used: int = 0
    best_tanimoto: float = 0.0
    best_identity: float | None = None
    prospect: float | None = None
    stereo_kept: bool | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
