"""The ``templ`` command. Commands import what they need when they run, so that ``--help`` answers at once."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from types import FrameType, TracebackType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from templ import __version__
from templ.cli import (
    benchmark_commands,
    cluster_command,
    evaluate_command,
    export_command,
    fetch_command,
    library_commands,
    predict_command,
    report_command,
    science,
    serve_command,
    tools,
)
from templ.cli.options import reset_quiet
from templ.cli.streams import discard_output, output_is_closed, prepare_streams
from templ.disk import MENDS, mend_of, path_text
from templ.errors import InputError, StorageError, TemplError

INTERNAL_FAULT = 3
OF_SYSTEM = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}
"""Faults that are of no file: there are too many of them, or of processes, or too little memory."""
REFUSED_BY_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, *MENDS, *OF_SYSTEM}
EDGE_MENDS = {
    errno.ENOENT: "check the path, or bring back what was there",
    errno.EAGAIN: "allow more processes (ulimit -u), or fewer --workers",
    errno.ENOMEM: "free memory, or give fewer --workers",
}
SIGNAL_CODE = 128
"""Plus the signal's number: 130 for Ctrl-C, 143 for SIGTERM, as a shell reports them."""


class _Commands(TyperGroup):
    """Tells of a command that is looked for one level too high, as `templ compare`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  Typer's own, or click's
        groups = self.commands.items() if args and args[0] not in self.commands else ()
        inside = [
            f"'{name} {args[0]}'" for name, group in groups if args[0] in getattr(group, "commands", ())
        ]
        if inside:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {' or '.join(inside)}?")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="templ",
    cls=_Commands,
    help="Predict how a small molecule binds by copying co-crystal templates.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a wrong option is said in one line, not in a box
)
app.command("fetch")(fetch_command.fetch)
app.command("predict")(predict_command.predict)
app.add_typer(library_commands.app, name="library")
app.add_typer(benchmark_commands.app, name="benchmark")
app.add_typer(cluster_command.app, name="cluster")
app.command("evaluate")(evaluate_command.evaluate)
app.command("export")(export_command.export)
app.command("report")(report_command.report)
app.command("config")(science.config)
app.command("serve")(serve_command.serve)
app.command("demo")(tools.demo)
app.command("doctor")(tools.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"templ {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
    ),
    quiet: bool = typer.Option(
        False, "--quiet", callback=reset_quiet, is_eager=True, help="Say nothing but errors."
    ),
) -> None:
    pass


class _ExitCodes:
    """Gives every ending of a command its exit code; a user's mistake never shows a traceback."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError):
            # Typer calls it a failure when the reader (`| head`) has had enough.
            discard_output()
            raise SystemExit(0)
        if error is None or isinstance(error, SystemExit):
            return
        if isinstance(error, OSError) and error.errno in REFUSED_BY_SYSTEM:
            discard_output()
            what = error.filename or ("the system" if error.errno in OF_SYSTEM else "the output")
            error = StorageError(f"{what}: {error.strerror}; {EDGE_MENDS.get(error.errno, mend_of(error))}")
        if isinstance(error, OSError) and error.errno == errno.EBADF and output_is_closed():
            discard_output()
            error = StorageError("there is something to print, and standard output is closed; leave out >&-")
        if isinstance(error, TemplError):
            _end(f"error: {error}", error.exit_code)
        traceback.print_exception(error)
        _end(f"internal fault, please report it: {type(error).__name__}: {error}", INTERNAL_FAULT)


def _end(message: str, code: int) -> NoReturn:
    print(f"templ: {message}", file=sys.stderr)
    raise SystemExit(code)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """End in order on Ctrl-C and SIGTERM: what is open is closed and workers are stopped on the way out."""
    signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not break the clean-up
    message, code = "interrupted; a run goes on when the same command is given again", SIGNAL_CODE + number
    if _is_importing(frame):
        # What is just being loaded may be C++, which aborts on any exception; a run stands being ended so.
        print(f"templ: {message}", file=sys.stderr, flush=True)
        os._exit(code)
    _end(message, code)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded in a frame."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def main() -> None:
    """Run the command line."""
    prepare_streams()
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    with _ExitCodes():
        _check_words()
        app()


def _check_words() -> None:
    """Refuse what no file could tell: words, or a current folder, that are not UTF-8."""
    try:
        folder = os.getcwd()  # noqa: PTH109  `Path.cwd` is the same
    except OSError as error:
        raise InputError(f"the current folder is gone ({error.strerror}); change to another") from None
    for word in (*sys.argv[1:], folder):
        path_text(word)
