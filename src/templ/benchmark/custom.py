"""A benchmark of the user's own, in a TOML file."""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from templ.benchmark.definition import WHOSE, Benchmark, label_splits
from templ.errors import InputError, first_fault
from templ.settings import PredictionSettings
from templ.sources.files import open_input
from templ.sources.split_lists import read_split_lists
from templ.templates.rule import TemplateRule
from templ.templates.target_receptor import OWN


class _Content(BaseModel):
    """What may be in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    library: str
    targets: str = ""
    first_date: datetime.date | None = None
    receptor: str = OWN
    splits: str = ""
    split: Literal["", "train", "val", "test"] = ""
    rule: dict[str, Any] = Field(default_factory=dict)
    settings: PredictionSettings = Field(default_factory=PredictionSettings)


@dataclass(frozen=True, slots=True)
class TomlBenchmark:
    """A benchmark in the TOML file `path`; paths in it are relative to the file.

    ``library`` is required. Optional are ``targets`` (a library, by default the same), ``first_date``,
    ``receptor`` (``own``, ``nearest``, ``none`` or a structure file, see `Benchmark`),
    ``splits`` (a folder of id lists, see `read_split_lists`) with ``split`` (which of them are the targets),
    ``name``, and the tables ``[rule]`` (see `TemplateRule`) and ``[settings]`` (see `PredictionSettings`).
    """

    path: str | Path

    def make(self, inputs: Path) -> Benchmark:
        """Make the benchmark, given a folder for the labels of a split.

        Raises
        ------
        InputError
            When the file cannot be read or a key is unknown or wrong; the message names it.
        """
        path = Path(self.path)
        with open_input(path) as stream:
            text = stream.read()
        try:
            content = _Content.model_validate(tomllib.loads(text.decode()))
            rule = TemplateRule.from_json(content.rule)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not a benchmark in TOML ({error})") from None
        except ValidationError as error:
            raise InputError(f"{path}: {first_fault(error, _Content)}") from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if bool(content.splits) != bool(content.split):
            raise InputError(f"{path}: splits (a folder of id lists) and split (which of them) go together")
        if content.splits and content.targets:
            raise InputError(f"{path}: the targets of a split are in the library itself; remove targets")
        library = path.parent / content.library
        lists = read_split_lists(path.parent / content.splits) if content.splits else None
        return Benchmark(
            name=content.name or path.stem,
            library=library,
            targets=path.parent / content.targets if content.targets else library,
            rule=rule,
            first_date=content.first_date,
            receptor=content.receptor if content.receptor in WHOSE else path.parent / content.receptor,
            listed=None if lists is None else tuple(lists[content.split]),
            splits=None if lists is None else label_splits(inputs, library, lists),
            settings=content.settings,
        )
