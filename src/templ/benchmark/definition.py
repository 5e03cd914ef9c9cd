"""What a benchmark is: targets with known poses, a template library, and the rule which may be used."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from templ.disk import make_folder
from templ.errors import InputError
from templ.library.store import open_library
from templ.records import Target
from templ.selection.splits import write_splits
from templ.settings import PredictionSettings
from templ.sources.files import open_input
from templ.sources.splits import TemplateRule, read_split_lists

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from templ.library.store import Library, LigandRecord

SPLITS = "splits.npy"
"""Which split each row of the library belongs to, among the inputs of a run."""


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
    splits: Path | None = None
    notes: tuple[str, ...] = ()
    settings: PredictionSettings = field(default_factory=PredictionSettings)


class _Config(BaseModel):
    """Content of a benchmark's TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    library: str
    targets: str = ""
    first_date: datetime.date | None = None
    splits: str = ""
    split: Literal["", "train", "val", "test"] = ""
    rule: dict[str, Any] = Field(default_factory=dict)
    settings: PredictionSettings = Field(default_factory=PredictionSettings)


def read_benchmark(path: Path, inputs: Path) -> Benchmark:
    """Read a benchmark from a TOML file; paths in it are relative to the file.

    ``library`` is required. Optional are ``targets`` (a library, by default the same), ``first_date``,
    ``splits`` (a folder of id lists, see `read_split_lists`) with ``split`` (which of them are the targets),
    ``name``, and the tables ``[rule]`` (see `TemplateRule`) and ``[settings]`` (see `PredictionSettings`).

    Raises
    ------
    InputError
        When the file cannot be read or a key is unknown or wrong; the message names it.
    """
    with open_input(path) as stream:
        content = stream.read()
    try:
        config = _Config.model_validate(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a benchmark in TOML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    try:
        rule = TemplateRule.from_json(config.rule)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    library = path.parent / config.library
    if bool(config.splits) != bool(config.split):
        raise InputError(f"{path}: splits (a folder of id lists) and split (which of them) go together")
    if config.splits and config.targets:
        raise InputError(f"{path}: the targets of a split are in the library itself; remove targets")
    lists = read_split_lists(path.parent / config.splits) if config.splits else None
    if lists is not None:
        make_folder(inputs)
        with open_library(library) as opened:
            write_splits(inputs / SPLITS, opened, lists)
    return Benchmark(
        name=config.name or path.stem,
        library=library,
        targets=path.parent / config.targets if config.targets else library,
        rule=rule,
        first_date=config.first_date,
        listed=None if lists is None else tuple(lists[config.split]),
        splits=None if lists is None else inputs / SPLITS,
        settings=config.settings,
    )


def target_of(entry: LigandRecord, split: str = "") -> Target:
    """Describe a library's ligand as something to predict: its chemistry, never its coordinates."""
    from templ.molecules import first_block

    return Target(entry.id, entry.smiles, entry.group, entry.date, first_block(entry.inchikey), split)


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
    """List the targets in order.

    Parameters
    ----------
    only : iterable of str, optional
        Run just these targets, in the benchmark's order.
    limit : int, optional
        Run the first so many.

    Raises
    ------
    InputError
        When `only` names something that is no target, or nothing is left.
    """
    with open_library(benchmark.targets) as targets:
        found = _dated_from(targets, benchmark.first_date)
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
        raise InputError(f"the benchmark {benchmark.name} has no targets left to run")
    return TargetList(found, tuple(missing))


def _dated_from(targets: Library, first_date: datetime.date | None) -> dict[str, int]:
    columns = targets.columns
    ids, sizes = columns["id"].to_pylist(), columns["heavy_atoms"].to_pylist()
    if first_date is None:
        return dict(zip(ids, sizes, strict=True))
    dates = columns["date"].to_pylist()
    return {
        id: size
        for id, size, date in zip(ids, sizes, dates, strict=True)
        if date is not None and date >= first_date
    }
