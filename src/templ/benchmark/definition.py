"""What a benchmark is: targets with known poses, a template library, and the rule which may be used."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from templ.errors import InputError
from templ.library.store import open_library
from templ.records import Target
from templ.settings import PredictionSettings
from templ.sources.files import open_input
from templ.sources.splits import TemplateRule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from templ.library.store import Library, LigandRecord


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
    notes: tuple[str, ...] = ()
    settings: PredictionSettings = field(default_factory=PredictionSettings)


class _Config(BaseModel):
    """Content of a benchmark's TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    library: str
    targets: str = ""
    first_date: datetime.date | None = None
    rule: dict[str, Any] = Field(default_factory=dict)
    settings: PredictionSettings = Field(default_factory=PredictionSettings)


def read_benchmark(path: Path) -> Benchmark:
    """Read a benchmark from a TOML file; paths in it are relative to the file.

    ``library`` is required; ``targets`` (a library, by default the same), ``first_date``, ``name``, and the
    tables ``[rule]`` (see `TemplateRule`) and ``[settings]`` (see `PredictionSettings`) are optional.

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
    return Benchmark(
        name=config.name or path.stem,
        library=library,
        targets=path.parent / config.targets if config.targets else library,
        rule=rule,
        first_date=config.first_date,
        settings=config.settings,
    )


def target_of(entry: LigandRecord) -> Target:
    """Describe a library's ligand as something to predict: its chemistry, never its coordinates."""
    from templ.molecules import first_block

    return Target(entry.id, entry.smiles, entry.group, entry.date, first_block(entry.inchikey))


def list_targets(
    benchmark: Benchmark, *, only: Iterable[str] | None = None, limit: int | None = None
) -> dict[str, int]:
    """Ids of the targets in order, each with its number of heavy atoms as an estimate of its cost.

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
    if only is not None:
        wanted = set(only)
        if unknown := sorted(wanted - found.keys()):
            raise InputError(
                f"'{unknown[0]}' is not a target of the benchmark {benchmark.name} "
                f"({len(unknown)} of {len(wanted)} ids are not)"
            )
        found = {target: size for target, size in found.items() if target in wanted}
    if limit is not None:
        found = dict(list(found.items())[:limit])
    if not found:
        raise InputError(f"the benchmark {benchmark.name} has no targets left to run")
    return found


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
