"""``templ serve``: the web app."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from templ.cli.options import say
from templ.errors import InputError, RunError

if TYPE_CHECKING:
    from templ.web.workspace import Workspace

FOLDER = Path("templ-web")
DEMO = "demo-mpro"
"""Name of the demo's library; that of its user, built as `templ demo mpro` says, is ``mpro``."""
DEMO_QUERIES = (
    ("isoquinoline-amide", "O=C(Nc1cncc2ccccc12)C(C)c1cccc(Cl)c1"),
    ("methylpyridine-amide", "Cc1ccncc1NC(=O)Cc1cccc(C#N)c1"),
    ("acetamide-fragment", "CC(=O)Nc1cnccc1C"),
    ("benzotriazole-amide", "O=C(Cn1nnc2ccccc21)N(Cc1ccsc1)c1ccccc1"),
    ("decapeptide", "NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)NCC(=O)O"),
)
"""Posed by the demo: four inhibitors of the protease, more and less alike to its crystals, one to refuse."""


def serve(
    libraries: list[Path] = typer.Argument(None, help="Template libraries to predict with."),
    run: list[Path] = typer.Option([], "--run", help="Runs to show beside those of the app's own jobs."),
    folder: Path = typer.Option(FOLDER, "--folder", help="Jobs, their results and uploads; made if need be."),
    demo: bool = typer.Option(False, "--demo", help="Serve the library of the Mpro demo, with a job on it."),
    port: int = typer.Option(8377, "--port", min=0, max=65535, help="0: any that is free."),
    host: str = typer.Option(
        "127.0.0.1",
        "--host",
        help="Address to listen at; any but this one lets other machines in that have the token.",
    ),
    browser: bool = typer.Option(False, "--open", help="Open the browser at once."),
) -> None:
    """Serve the web app (extra: web). Predict, see poses in 3D, run and compare benchmarks."""
    try:
        import uvicorn

        from templ.web.server import make_app
    except ImportError as error:
        raise InputError(f"`templ serve` needs {error.name}: pip install 'templ-pose[web]'") from None
    from templ.disk import locked, make_folder
    from templ.web.access import read_token
    from templ.web.workspace import Workspace

    make_folder(folder)

    def refusal(holder: str) -> RunError:
        return RunError(f"{folder} is served by process {holder}; stop it, or choose another --folder")

    with locked(folder / "serve.lock", refusal):
        served = list(libraries or [])
        if demo:
            served.append(_demo_library(folder))
        if not served and not run:
            raise InputError("nothing to serve: name a template library, or --run RUN, or --demo")
        workspace = Workspace(folder.absolute(), served, run)
        token = read_token(folder / "token")
        listening = _listen(host, port)  # before a job begins, which else would be left alone
        if demo and not workspace.jobs:
            _demo_job(workspace)
        port = listening.getsockname()[1]
        names = {host, "127.0.0.1", "localhost"} if host == "127.0.0.1" else {host}
        page = "latest" if demo else ""
        address = f"http://{host}:{port}/{page}?token={token}"
        print(address, flush=True)
        say(
            "open this address in a browser; Ctrl-C stops the server; its jobs go on when it is started again"
        )
        if browser:
            typer.launch(address)
        config = uvicorn.Config(
            make_app(workspace, token, [f"{name}:{port}" for name in names]),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=20,
            limit_concurrency=400,
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # who opens the address at once waits for the first page, and is not refused
    except OSError as error:
        listening.close()
        raise InputError(
            f"--host {host} --port {port}: {error.strerror}; choose another, or --port 0"
        ) from None
    return listening


def _demo_library(folder: Path) -> Path:
    """Build the library of the Mpro demo, where it is not there yet."""
    from templ.library.build import build_library
    from templ.library.store import is_sound
    from templ.sources.demo import DEMO_DATE_PROPERTY, demo_files
    from templ.sources.ledger import Ledger
    from templ.sources.sdf import read_sdf

    path, demo, ledger = folder / "demo" / f"{DEMO}.templ", demo_files(), Ledger()
    if not is_sound(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        entries = read_sdf(demo.ligands, ledger, date_property=DEMO_DATE_PROPERTY)
        build_library(
            path, entries, ledger=ledger, sources=[demo.ligands.name], receptors={"": demo.receptor}
        )
    return path


def _demo_job(workspace: Workspace) -> None:
    from templ.sources.queries import queries_table
    from templ.web.web_job import PredictOrder

    order = PredictOrder(title="demo: five queries on Mpro", library=DEMO, queries="queries.csv")
    workspace.submit(order, {"queries.csv": queries_table(list(DEMO_QUERIES))})
