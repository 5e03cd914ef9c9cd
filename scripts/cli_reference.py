"""Writes docs/cli.md, the reference of the command line, from the program itself.

python scripts/cli_reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from templ.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# The command line

Made from the program by `scripts/cli_reference.py`; `templ COMMAND -h` prints the same.
`templ --install-completion` teaches the shell to complete commands and options. `templ --quiet COMMAND` says
nothing but errors, and `NO_COLOR=1` is heeded. Exit codes: 0 finished; 1 finished with more failures than
allowed; 2 bad input, with a sentence that says which and how to mend it; 3 a fault of ours; 130 Ctrl-C;
143 terminated.
"""


def reference() -> str:
    """Text of the page."""
    return "\n".join([HEAD, *_command(get_command(app), ("templ",))])


def _command(command: Any, words: tuple[str, ...]) -> Iterator[str]:  # noqa: ANN401  typer carries click inside
    inner = getattr(command, "commands", {})
    if len(words) > 1:
        yield f"{'#' * len(words)} `{' '.join(words)}`\n"
        yield f"{' '.join((command.help or '').split())}\n"
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows and not inner:
            yield "\n".join(("| | default | |", "| --- | --- | --- |", *rows, ""))
    for name, part in inner.items():
        yield from _command(part, (*words, name))


def _row(parameter: Any) -> str:  # noqa: ANN401
    """Row of an option or argument; empty for the help itself."""
    if "--help" in parameter.opts:
        return ""
    if parameter.param_type_name == "argument":
        name = f"`{parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    default = "" if callable(parameter.default) or parameter.default is False else str(parameter.default)
    told = "required" if parameter.required else f"`{default}`" if default not in ("", "None", "[]") else ""
    text = " ".join((parameter.help or "").split()).replace("|", "\\|").replace("<", "&lt;")
    return f"| {name} | {told} | {text} |"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
