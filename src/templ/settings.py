"""Settings: what decides the poses (science), apart from what only decides how fast they come (machine)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt

COVALENT = r"^(auto|none|([^:\s]+:)?[A-Z]{3}-?\d+[A-Z]?)$"
"""What may be said of the residue that queries bond to, once `spelled`."""


def spelled(residue: str) -> str:
    """Write a residue as files do: its name in capitals, its chain as it is; ``auto`` and ``none`` small.

    Examples
    --------
    >>> spelled("a:Cys145"), spelled("AUTO")
    ('a:CYS145', 'auto')
    """
    chain, colon, name = residue.strip().rpartition(":")
    small = name.lower()
    return f"{chain}{colon}{small if small in ('auto', 'none') else name.upper()}"


def residue_to_bond(given: str) -> str:
    """Return what may be said of the residue that queries bond to, `spelled`; ValueError where it is none."""
    if re.fullmatch(COVALENT, spelled(given)) is None:
        raise ValueError("expected a residue such as CYS145 or A:CYS145, or auto, or none")
    return spelled(given)


Covalent = Annotated[str, AfterValidator(residue_to_bond)]
"""A residue, ``auto`` or ``none``."""


class PredictionSettings(BaseModel):
    """The science of a prediction; part of a run's identity.

    Attributes
    ----------
    seed : int
        Of conformers and Monte Carlo moves. The same seed gives the same poses, whatever the number of
        workers.
    top : int
        Poses kept a query.
    screened : int
        Templates most similar by fingerprint that are compared atom by atom.
    templates : int
        Templates whose coordinates are copied.
    consensus : int
        Templates that every pose is overlaid with.
    conformers : int
        Free conformers of the query that the copying starts from.
    minimised : int
        Poses that are minimised before the last ranking; 0 for none.
    starts : int
        Random starts all over the pocket that are minimised, where there is a receptor; 0 for none.
    docked : int
        Poses kept of these.
    rounds : int
        How often, at most, the best poses are moved (Monte Carlo) and minimised anew while it is open which
        is right.
    min_confidence : float
        A query whose best pose is less likely right than this is refused, 0 to 1.
    min_tanimoto : float
        A query whose most similar template is below this is refused.
    by : {"sequence", "embedding", "all"}
        How the receptors of templates are found where each has its own: by sequence identity, by embedding,
        or every one that can be superposed.
    min_identity : float
        Share of aligned residues that a template's receptor must have in common with the query's, 0 to 1;
        where they are found by sequence.
    receptors : int
        Crystals whose receptors are tried, one after the other until a first pose is sure, where none is
        given and the library's ligands have one each.
    use_receptor : bool
        Judge poses in the receptor; else by the templates alone.
    covalent : str
        Residue that the query bonds to, such as ``CYS145`` or ``A:CYS145``; ``auto`` takes one where a
        warhead or covalent templates tell of a bond; ``none`` poses without.
    states : bool
        Pose the tautomers and protonation states of the query near pH 7.4 too, and let the pose choose.
    max_heavy_atoms : int
        A larger query is refused.
    max_residues : int
        A peptide with more residues is refused, as the TEMPL time-split benchmark does.
    max_sugar_rings : int
        A saccharide with more rings is refused, as the same benchmark does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    top: int = Field(default=5, ge=1, le=100)
    screened: int = Field(default=60, ge=1)
    templates: int = Field(default=8, ge=1)
    consensus: int = Field(default=12, ge=1)
    conformers: int = Field(default=40, ge=1)
    minimised: int = Field(default=80, ge=0)
    starts: int = Field(default=300, ge=0)
    docked: int = Field(default=60, ge=1)
    rounds: int = Field(default=3, ge=0)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    min_tanimoto: float = Field(default=0.05, ge=0, le=1)
    by: Literal["sequence", "embedding", "all"] = "sequence"
    min_identity: float = Field(default=0.3, ge=0, le=1)
    receptors: int = Field(default=2, ge=1)
    use_receptor: bool = True
    covalent: Covalent = "auto"
    states: bool = False
    max_heavy_atoms: int = Field(default=120, ge=1)
    max_residues: int = Field(default=8, ge=1)
    max_sugar_rings: int = Field(default=3, ge=0)


class RunSettings(BaseModel):
    """The machine side of a run; never part of its identity.

    Attributes
    ----------
    workers : int or "auto"
        Worker processes at most; ``auto`` starts with one and adds more while cores and memory allow.
    memory : int or None
        Bytes for all processes of the run together; None takes 80 % of what is available.
    deadline_s : float
        CPU seconds a target may take before its worker is stopped.
    backstop_s : float or None
        Seconds it may take at all, however little of a core it gets; None: twenty times the deadline. Time in
        which the run itself was suspended or starved is not counted.
    recycle_after : int
        Targets after which a worker is replaced by a fresh one.
    retry_failed : bool
        Try targets again that ended before for want of time or memory, or whose worker died; once a start.
    on : str
        Where the work is done, if not by processes of this machine: ``dask://HOST:PORT``, a Dask scheduler,
        or ``local:N``, a Dask cluster of N workers of this machine.
    join : bool
        Do parts of the run together with other processes that join it, on any machine that has its folder.
    max_failures : int
        A run with more failed targets than this ends with exit code 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: PositiveInt | Literal["auto"] = "auto"
    memory: PositiveInt | None = None
    deadline_s: float = Field(default=180.0, gt=0)
    backstop_s: float | None = Field(default=None, gt=0)
    recycle_after: int = Field(default=25, ge=1)
    retry_failed: bool = True
    on: str = ""
    join: bool = False
    max_failures: int = Field(default=0, ge=0)
