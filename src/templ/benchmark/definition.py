"""What a benchmark is: targets with known poses, a template library, and the rule which may be used."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from templ.disk import make_folder
from templ.errors import InputError
from templ.library.store import open_library
from templ.settings import PredictionSettings
from templ.templates.rule import TemplateRule
from templ.templates.split_labels import write_splits
from templ.templates.target_receptor import OWN, RECEPTORS

SPLITS = "splits.npy"
"""Among the inputs of a run."""
NONE = "none"
WHOSE = (*RECEPTORS, NONE)
"""Whose receptor targets may be posed in, where it is not that of a file."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark ready to run.

    Attributes
    ----------
    name : str
        As the results will call it.
    library : Path
        Template library.
    targets : Path
        Library whose ligands are the targets, their coordinates the truth; may be `library` itself.
    rule : TemplateRule
        Which templates a target may use.
    first_date : datetime.date or None
        Only ligands dated from this day on are targets.
    listed : tuple of str or None
        Only these are targets, in this order; None: all of `targets`. Those that `targets` does not have are
        reported as missing.
    receptor : str or Path
        What each target is posed in: ``own``, the receptor of its own crystal, or of its group where all
        templates share a frame; ``nearest``, that of another crystal, which the program chooses among those
        that the rule allows; ``none``, templates only; or a structure file, the same for all targets.
    splits : Path or None
        Which split each row of `library`, which holds the targets too, belongs to (`write_splits`).
    notes : tuple of str
        What the user should know about the data.
    settings : PredictionSettings
        Science settings.
    """

    name: str
    library: Path
    targets: Path
    rule: TemplateRule
    first_date: datetime.date | None = None
    listed: tuple[str, ...] | None = None
    receptor: str | Path = OWN
    splits: Path | None = None
    notes: tuple[str, ...] = ()
    settings: PredictionSettings = field(default_factory=PredictionSettings)


class BenchmarkSource(Protocol):
    """What can make a benchmark: one of those that have a name, or a TOML file."""

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark, given a folder for what it builds; `InputError` when its files are unfit."""
        ...


def label_splits(inputs: Path, library: Path, lists: Mapping[str, Iterable[str]]) -> Path:
    """Write down which split each row of a library belongs to; return the file."""
    make_folder(inputs)
    with open_library(library) as opened:
        write_splits(inputs / SPLITS, opened, lists)
    return inputs / SPLITS


@dataclass(frozen=True, slots=True)
class TargetList:
    """What a benchmark asks for, and what of that there are data for.

    Attributes
    ----------
    sizes : dict of str to int
        Targets in order, each with its number of heavy atoms as an estimate of its cost.
    missing : tuple of str
        Ids that were asked for and are not in the library of targets.
    """

    sizes: dict[str, int]
    missing: tuple[str, ...]


def list_targets(
    benchmark: Benchmark, *, only: Iterable[str] | None = None, limit: int | None = None
) -> TargetList:
    """List the targets in order, or just those in `only`, or the first so many.

    Raises
    ------
    InputError
        When `only` names something that is no target, or nothing is left.
    """
    first = benchmark.first_date
    with open_library(benchmark.targets) as targets:
        columns = (targets.columns[name].to_pylist() for name in ("id", "heavy_atoms", "date"))
        found = {
            id: size
            for id, size, date in zip(*columns, strict=True)
            if first is None or (date is not None and date >= first)
        }
    missing: list[str] = []
    if benchmark.listed is not None:
        missing = [id for id in benchmark.listed if id not in found]
        found = {id: found[id] for id in benchmark.listed if id in found}
    if only is not None:
        wanted = set(only)
        missing = [id for id in missing if id in wanted]
        if unknown := sorted(wanted - found.keys() - set(missing)):
            raise InputError(
                f"'{unknown[0]}' is not a target of the benchmark {benchmark.name} "
                f"({len(unknown)} of {len(wanted)} ids are not)"
            )
        found = {target: size for target, size in found.items() if target in wanted}
    if limit is not None:
        found = dict(list(found.items())[:limit])
    if not found:
        left = f"{benchmark.targets} has no ligand"
        if missing:
            left = f"none of its {len(missing)} ids, such as {missing[0]}, is in {benchmark.targets}"
        elif first is not None:
            left += f" that is dated {first} or later"
        raise InputError(f"the benchmark {benchmark.name} has no targets left to run: {left}")
    return TargetList(found, tuple(missing))
