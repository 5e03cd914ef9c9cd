"""Science settings on the command line: ``--set``, ``--config``, and ``templ config``, which explains all."""

from __future__ import annotations

import difflib
import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from templ.errors import InputError, first_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from templ.settings import PredictionSettings

SET = typer.Option(
    [],
    "--set",
    metavar="NAME=VALUE",
    help="A science setting; may be given often. See `templ config`.",
)
CONFIG = typer.Option(
    None, "--config", metavar="FILE", help="TOML file of science settings, alone or in a table [settings]."
)
JSON = typer.Option(False, "--json", help="Print JSON, for scripts.")
WIDTH = 80


def read_science(
    pairs: Sequence[str], file: Path | None, options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Settings that were given: those of a file, those of ``--set``, which go first, and those of `options`.

    Raises
    ------
    InputError
        When one is unknown, out of its range, or given by ``--set`` and by an option of its own.
    """
    given = {} if file is None else _read_file(file)
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark:
            raise InputError(f"--set {pair}: expected NAME=VALUE, such as conformers=80")
        given[name.strip()] = _checked(f"--set {pair}", name.strip(), value.strip())
    for name, value in (options or {}).items():
        if any(pair.partition("=")[0].strip() == name for pair in pairs):
            raise InputError(f"--set {name}: there is --{name.replace('_', '-')} too; leave one of them out")
        given[name] = value
    return given


def changed(settings: PredictionSettings) -> list[str]:
    """Lines about the settings that are not the default; none where all are."""
    fields = type(settings).model_fields
    different = {
        name: value for name, value in settings.model_dump().items() if value != fields[name].default
    }
    if not different:
        return []
    told = (f"{name} = {value} (default {fields[name].default})" for name, value in different.items())
    return textwrap.wrap(f"settings: {', '.join(told)}", WIDTH, subsequent_indent="  ")


def config(pairs: list[str] = SET, file: Path | None = CONFIG, as_json: bool = JSON) -> None:
    """Print the science settings: value, default, range and meaning.

    Give them to `predict` and `benchmark run` by --set NAME=VALUE or --config FILE.
    """
    from templ.settings import PredictionSettings

    settings = PredictionSettings(**read_science(pairs, file))
    meanings = describe(PredictionSettings)
    fields = PredictionSettings.model_fields
    if as_json:
        table = {
            name: {"value": value, "default": fields[name].default, "meaning": meanings[name]}
            for name, value in settings.model_dump().items()
        }
        typer.echo(json.dumps(table, indent=1))
        return
    for name, value in settings.model_dump().items():
        default = fields[name].default
        was = "" if value == default else f"   (default {default})"
        bounds = _bounds(fields[name].metadata)
        typer.echo(f"{name} = {value}{was}")
        typer.echo(
            textwrap.fill(meanings[name] + bounds, WIDTH, initial_indent="    ", subsequent_indent="    ")
        )


def describe(model: type[BaseModel]) -> dict[str, str]:
    """Meaning of each setting, out of the docstring of their class.

    Examples
    --------
    >>> from templ.settings import PredictionSettings
    >>> describe(PredictionSettings)["templates"]
    'Templates whose coordinates are copied.'
    """
    lines = inspect.getdoc(model) or ""
    attributes = lines.partition("Attributes\n----------\n")[2]
    found = re.findall(r"^(\w+) : .*\n((?:    .*\n?)+)", attributes, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _bounds(metadata: Sequence[Any]) -> str:
    """Range of a setting, such as `` [1 to 100]``; empty where it has none."""
    low = next((bound.ge for bound in metadata if hasattr(bound, "ge")), None)
    high = next((bound.le for bound in metadata if hasattr(bound, "le")), None)
    if low is None:
        return ""
    return f" [{low:,} and more]" if high is None else f" [{low:,} to {high:,}]"


def _read_file(file: Path) -> dict[str, Any]:
    import tomllib

    from templ.sources.files import open_input

    with open_input(file) as stream:
        text = stream.read()
    try:
        content = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--config {file} is not TOML ({error})") from None
    settings = content.get("settings", content)
    if not isinstance(settings, dict):
        raise InputError(f"--config {file}: settings is no table; expected [settings] and lines NAME = VALUE")
    return {name: _checked(f"--config {file}", name, value) for name, value in settings.items()}


def _checked(source: str, name: str, value: Any) -> Any:  # noqa: ANN401
    """Value of a setting, as what it is."""
    from pydantic import ValidationError

    from templ.settings import PredictionSettings

    fields = PredictionSettings.model_fields
    if name not in fields:
        near = difflib.get_close_matches(name, fields, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"{source}: there is no setting {name!r}; {meant}`templ config` lists them all")
    try:
        return getattr(PredictionSettings(**{name: value}), name)
    except ValidationError as error:
        raise InputError(f"{source}: {first_fault(error)}") from None
