"""The record: what happened to one molecule, in a benchmark, a list of queries or a single prediction.

This module alone knows how a record is written; everything else reads its fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from templ.checksums import CHECKSUM, checksum
from templ.errors import RunError, TemplError
from templ.records import Outcome, Pose, PoseBond, Status, Target

RECORD_VERSION = 5
"""Of the fields below. Version 1 had no field ``version``, version 2 no checksums."""
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
MOST = 10**9
"""Molecules of a run; a byte of memory is taken for each."""


_Bytes = Annotated[int, Field(ge=0, lt=2**62)]


@dataclass(frozen=True, slots=True)
class PoseAddress:
    """Where the poses of one molecule are: file in the run folder, bytes in it, and their checksum."""

    __pydantic_config__ = STRICT

    shard: Annotated[str, Field(pattern=r"^poses/(\d{4,9}|part-\d{4,9}|part-[0-9a-f]{32})\.sdf$")]
    offset: _Bytes
    length: _Bytes
    checksum: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a molecule cost: seconds, bytes, and wall seconds of each stage."""

    __pydantic_config__ = STRICT

    cpu_s: float = 0.0
    wall_s: float = 0.0
    uss_bytes: int = 0
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoseRecord:
    """One pose of a molecule, without its coordinates; docs/formats.md describes the fields.

    `core` pairs shared atoms: index in the query and in the template; `rmsd` is None without a crystal, and
    `copy_rmsd` where the receptor has no two chains of one protein; `smiles` is what was posed, `pocket` the
    residues there, and `bond` that to one of them.
    """

    __pydantic_config__ = STRICT

    score: float
    confidence: float
    placement_method: str
    template: str
    core: tuple[tuple[int, int], ...]
    core_smarts: str
    core_rmsd: float
    terms: Mapping[str, float] = field(default_factory=dict)
    superposition: Mapping[str, float] = field(default_factory=dict)
    rmsd: float | None = None
    copy_rmsd: float | None = None
    smiles: str = ""
    pocket: tuple[str, ...] = ()
    bond: PoseBond | None = None

    @classmethod
    def of(cls, pose: Pose, rmsd: float | None = None, copy_rmsd: float | None = None) -> PoseRecord:
        """Describe a pose, and how far it is from the crystal, in its own pocket and in any copy."""
        return cls(
            score=round(pose.score, 5),
            confidence=round(pose.confidence, 4),
            placement_method=pose.method,
            template=pose.template_id,
            core=tuple(pose.core.items()),
            core_smarts=pose.core_smarts,
            core_rmsd=round(pose.core_rmsd, 4),
            terms={name: round(value, 4) for name, value in pose.terms.items()},
            superposition={name: round(value, 4) for name, value in pose.superposition.items()},
            rmsd=None if rmsd is None else round(rmsd, 4),
            copy_rmsd=None if copy_rmsd is None else round(copy_rmsd, 4),
            smiles=pose.smiles,
            pocket=pose.pocket,
            bond=None if pose.bond is None else pose.bond.rounded(),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """What happened to one molecule.

    Attributes
    ----------
    index : int
        Its position in the list of the run, from 0.
    id : str
        Its name.
    status, reason, detail, prior_confidence, templates_allowed, stereo_kept, notes :
        As those of a `templ.Outcome`.
    stage : str
        In which function a fault arose.
    group, smiles : str
        Of the target; the SMILES is empty where it could not be read.
    receptor : str
        Name of what it was posed in: a file's, or the id of its own complex; empty where there is none.
    poses : tuple of PoseRecord
        Best first.
    address : PoseAddress or None
        Where their coordinates are; None without poses.
    failed_checks : tuple of str or None
        PoseBusters checks that the first pose fails; None where it was not checked.
    tanimoto, identity : float, float or None
        Of the most similar template, and of the most related receptor (None where all share one frame).
    query_atoms, rotors : int
        Heavy atoms and rotatable bonds of the query; 0 where it could not be read.
    cost : Cost
        The only field that tells two equal runs apart.
    version : int
        Of this format.
    """

    __pydantic_config__ = STRICT

    index: Annotated[int, Field(ge=0, lt=MOST)]
    id: str
    status: Status
    reason: str = ""
    detail: str = ""
    stage: str = ""
    group: str = ""
    smiles: str = ""
    receptor: str = ""
    poses: tuple[PoseRecord, ...] = ()
    address: PoseAddress | None = None
    failed_checks: tuple[str, ...] | None = None
    prior_confidence: float | None = None
    tanimoto: float = 0.0
    identity: float | None = None
    query_atoms: int = 0
    rotors: int = 0
    templates_allowed: int = 0
    stereo_kept: bool | None = None
    notes: tuple[str, ...] = ()
    cost: Cost = field(default_factory=Cost)
    version: int = RECORD_VERSION

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        target: Target,
        index: int = 0,
        rmsd: Sequence[float | None] | None = None,
        copy_rmsd: Sequence[float | None] | None = None,
        *,
        stage: str = "",
        receptor: str = "",
    ) -> Record:
        """Describe how a prediction ended.

        Parameters
        ----------
        outcome : Outcome
            Of `target`.
        index : int
            Position in the list of the run.
        rmsd : sequence of float, optional
            Of each pose from the crystal, Angstrom.
        copy_rmsd : sequence of float, optional
            The same in the nearest equivalent copy of the pocket (`templ.evaluation.equivalent_copies`).
        stage : str
            Function in which a fault arose.
        receptor : str
            Name of what it was posed in.
        """
        from rdkit.Chem.rdMolDescriptors import CalcNumRotatableBonds

        from templ.chemistry.molecules import parse_smiles

        mol = parse_smiles(target.smiles) if target.smiles else None
        unknown = [None] * len(outcome.poses)
        prior, identity = outcome.prior_confidence, outcome.best_identity
        return cls(
            index=index,
            id=outcome.id,
            status=outcome.status,
            reason=outcome.reason,
            detail=outcome.detail,
            stage=stage,
            group=target.group,
            smiles=target.smiles,
            receptor=receptor,
            poses=tuple(map(PoseRecord.of, outcome.poses, rmsd or unknown, copy_rmsd or unknown)),
            prior_confidence=None if prior is None else round(prior, 4),
            tanimoto=round(outcome.best_tanimoto, 4),
            identity=None if identity is None else round(identity, 4),
            query_atoms=0 if mol is None else mol.GetNumHeavyAtoms(),
            rotors=0 if mol is None else int(CalcNumRotatableBonds(mol)),
            templates_allowed=outcome.templates_allowed,
            stereo_kept=outcome.stereo_kept,
            notes=outcome.notes,
            cost=Cost(stages={name: round(seconds, 4) for name, seconds in outcome.seconds.items()}),
        )

    @property
    def first(self) -> PoseRecord | None:
        """The first pose."""
        return self.poses[0] if self.poses else None

    @property
    def rmsd(self) -> float | None:
        """RMSD of the first pose from the crystal, Angstrom; None without a pose or a crystal."""
        return self.poses[0].rmsd if self.poses else None

    @property
    def best_rmsd(self) -> float | None:
        """RMSD of the best pose from the crystal, Angstrom; None without a pose or a crystal."""
        return min((pose.rmsd for pose in self.poses if pose.rmsd is not None), default=None)

    @property
    def query_coverage(self) -> float | None:
        """Share of the query's heavy atoms that were copied for the first pose; None without one."""
        return len(self.poses[0].core) / max(self.query_atoms, 1) if self.poses else None

    @property
    def ending(self) -> str:
        """``posed``, or why not, so that equal ones can be counted.

        Examples
        --------
        >>> Record(0, "a", "refused", "peptide").ending
        'refused: peptide'
        """
        return "posed" if self.status == "posed" else f"{self.status}: {self.reason}"

    def to_line(self) -> bytes:
        """Write one line of compact JSON, the same bytes for equal records, with a checksum at its end.

        Raises
        ------
        TemplError
            When a number is not finite.
        """
        plain = _ADAPTER.dump_python(self, mode="json")
        try:
            text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except ValueError as error:
            raise TemplError(f"the record of {self.id!r} cannot be written as JSON ({error})") from error
        body = text.encode("ascii")
        return body[:-1] + _seal(body) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record | None:
        """Read a record; None when `line` is not what `to_line` wrote.

        Raises
        ------
        RunError
            When another version wrote it; the message says which.
        """
        text = line.rstrip(b"\n")
        body = text[:-_SEAL] + b"}"
        sound = text[-_SEAL:] == _seal(body)
        try:
            plain: Any = json.loads(body if sound else text)
        except (ValueError, RecursionError):  # bad JSON and bad UTF-8 alike
            return None
        if not isinstance(plain, dict):
            return None
        found = plain.get("version", 1)
        # Nobody writes records without a checksum but an older version.
        if found != RECORD_VERSION and (sound or CHECKSUM not in plain):
            raise RunError(
                f"a record of format {found!r}, but this TEMPL reads format {RECORD_VERSION}: "
                "use the version that wrote it, or run again in another folder"
            )
        try:
            return _ADAPTER.validate_python(plain) if sound else None
        except ValidationError:
            return None

    def at(self, address: PoseAddress | None) -> Record:
        """Return the same record with its poses elsewhere."""
        return replace(self, address=address)


_ADAPTER = TypeAdapter(Record)


def _seal(body: bytes) -> bytes:
    """End of a line: the checksum of the record without it."""
    return f',"{CHECKSUM}":"{checksum(body)}"}}'.encode()


_SEAL = len(_seal(b""))
