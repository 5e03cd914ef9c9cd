"""The pages of the web app, and what their scripts ask for."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from templ import __version__
from templ.errors import InputError, RunError, TemplError
from templ.library.store import open_library
from templ.records import CONFIDENCE_WORDS
from templ.report.html_page import environment_of
from templ.runs.memory_log import read_samples
from templ.runs.record import Record
from templ.web import results_view
from templ.web.bounded_work import in_worker
from templ.web.orders import order_of, suffix_of
from templ.web.pose_downloads import KINDS, download
from templ.web.query_lookup import look_up, read_structure, read_upload
from templ.web.static_files import static_files
from templ.web.web_job import WebJob
from templ.web.workspace import Workspace, title_of

if TYPE_CHECKING:
    from starlette.requests import Request

EVERY_S = 0.7
"""Seconds between two messages about a job."""
MOST_VIEWS = 24
"""Poses whose data are kept: some 0.3 MB each."""
SMALL_BODY = 100_000
"""Bytes of a request that is no upload."""
UPLOAD_S, LOOK_UP_S, VIEW_S, RUN_S = 30.0, 30.0, 60.0, 120.0
"""Seconds that each kind of work may take."""


class Pages:
    """What is sent for each address.

    Parameters
    ----------
    workspace : Workspace
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._environment = environment_of("templ.web")
        self._static = static_files()
        self._views: OrderedDict[tuple[Any, ...], dict[str, Any]] = OrderedDict()

    async def static(self, request: Request) -> Response:
        """A script or a style; the names are fixed."""
        found = self._static.get(request.path_params["name"])
        if found is None:
            return self._message("there is no such file", 404)
        media_type, content = found
        return Response(content, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"})

    async def predict(self, request: Request) -> Response:
        """The page on which a prediction is asked for."""
        libraries = []
        for name, path in self._workspace.libraries.items():
            with open_library(path) as library:
                groups = [group for group in library.manifest.groups if group]
                libraries.append(
                    {"name": name, "ligands": len(library), "groups": groups, "own": library.has_receptors}
                )
        return self._page("predict.html.j2", libraries=libraries, jobs=self._listed()[:5])

    async def runs(self, request: Request) -> Response:
        """All jobs and runs, and the form for a benchmark."""
        return self._page(
            "runs.html.j2",
            jobs=self._listed(),
            served=sorted(self._workspace.runs),
            libraries=self._complexes(),
        )

    async def results(self, request: Request) -> Response:
        """Results of one job or run: cards of a prediction, or the page of a benchmark."""
        name = request.path_params["name"]
        job = None if name in self._workspace.runs else self._workspace.job(name)
        path = self._workspace.run_path(name)
        kind = "benchmark" if self._is_benchmark(job, path) else "predict"
        return self._page(
            f"{'benchmark' if kind == 'benchmark' else 'results'}.html.j2",
            name=name,
            title=name if job is None else title_of(job),
            confidence_words=[words for _, words in CONFIDENCE_WORDS],
            job=job,
            state="finished" if job is None else job.state,
        )

    async def pose(self, request: Request) -> Response:
        """The page of one molecule's poses."""
        name, index = request.path_params["name"], request.path_params["index"]
        path = self._workspace.run_path(name)
        view = await self._view(path, index)
        job = None if name in self._workspace.runs else self._workspace.job(name)
        return self._page(
            "pose.html.j2",
            name=name,
            index=index,
            view=view,
            title=name if job is None else title_of(job),
            models=[{"name": model["name"], "kind": model["kind"]} for model in view["models"]],
            kinds=[kind for kind in KINDS if kind != "receptor" and (kind == "sdf" or _has_pocket(view))],
        )

    async def compare(self, request: Request) -> Response:
        """Runs beside a baseline."""
        chosen = [run for run in request.query_params.getlist("run") if run]
        baseline, found, faults = request.query_params.get("baseline", ""), [], []
        known = self._comparable()
        for run in chosen if baseline in known else []:
            if run == baseline or run not in known:
                continue
            try:
                compared = await in_worker(
                    results_view.comparison_of, str(known[baseline]), str(known[run]), seconds=RUN_S
                )
            except TemplError as error:
                faults.append(f"{run}: {error}")
                continue
            found.append({"run": run, **compared})
        titles = {
            run: title_of(self._workspace.job(run)) if run not in self._workspace.runs else run
            for run in known
        }
        return self._page(
            "compare.html.j2",
            known=titles,
            baseline=baseline,
            chosen=chosen,
            compared=found,
            faults=faults,
        )

    async def overlay(self, request: Request) -> Response:
        """Data of both poses of a target that changed sides."""
        known, query = self._comparable(), request.query_params
        try:
            a, b = known[query.get("a", "")], known[query.get("b", "")]
            indices = int(query.get("i", "")), int(query.get("j", ""))
        except (KeyError, ValueError):
            return self._message("there is no such pair of runs", 404)
        shown = await in_worker(
            results_view.overlay_of, str(a), indices[0], str(b), indices[1], self._paths(), seconds=VIEW_S
        )
        return JSONResponse(shown)

    async def view(self, request: Request) -> Response:
        """Data of the page of a pose."""
        path = self._workspace.run_path(request.path_params["name"])
        return JSONResponse(await self._view(path, request.path_params["index"]))

    async def rows(self, request: Request) -> Response:
        """Rows of a run."""
        path = self._workspace.run_path(request.path_params["name"])
        return JSONResponse(await in_worker(results_view.rows_of, str(path), seconds=RUN_S))

    async def card(self, request: Request) -> Response:
        """Drawings of one result."""
        path = self._workspace.run_path(request.path_params["name"])
        index = request.path_params["index"]
        return JSONResponse(
            await in_worker(results_view.card_at, str(path), index, self._paths(), seconds=VIEW_S)
        )

    async def plots(self, request: Request) -> Response:
        """Headline and plots of a benchmark's run, as a piece of a page."""
        path = self._workspace.run_path(request.path_params["name"])
        summary = await in_worker(results_view.plots_of, str(path), seconds=RUN_S)
        return self._page("plots.html.j2", **summary)

    async def file(self, request: Request) -> Response:
        """A pose as a file."""
        kind, rank = request.path_params["kind"], request.path_params["rank"]
        if kind not in KINDS:
            return self._message("there is no such kind of file", 404)
        path = self._workspace.run_path(request.path_params["name"])
        record = await in_worker(results_view.record_at, str(path), request.path_params["index"])
        name, content = await in_worker(
            _file_of, str(path), record, rank, kind, self._paths(), seconds=VIEW_S
        )
        ascii_name = name.encode("ascii", "replace").decode().replace('"', "'")
        return Response(
            content,
            media_type=KINDS[kind][0],
            headers={"Content-Disposition": f'attachment; filename="{ascii_name}"'},
        )

    async def poses(self, request: Request) -> Response:
        """All poses of the results that are asked for, as one SDF."""
        indices = (await _small_json(request)).get("indices")
        if not isinstance(indices, list) or not all(isinstance(index, int) for index in indices):
            raise InputError("expected indices: a list of numbers")
        path = self._workspace.run_path(request.path_params["name"])
        content = await in_worker(results_view.poses_at, str(path), indices, seconds=RUN_S)
        return Response(content, media_type="chemical/x-mdl-sdfile")

    async def look_up(self, request: Request) -> Response:
        """What can be said of a SMILES before it is posed, as a piece of a page."""
        asked = await _small_json(request)
        name, smiles = str(asked.get("library", "")), str(asked.get("smiles", ""))
        if name not in self._workspace.libraries:
            raise InputError("choose one of the libraries that are served")
        receptor = asked.get("receptor")
        path = str(self._workspace.upload(str(receptor))) if receptor else ""
        found = await in_worker(
            look_up,
            smiles,
            str(self._workspace.libraries[name]),
            str(asked.get("group", "")),
            path,
            seconds=LOOK_UP_S,
        )
        return self._page("lookup.html.j2", **found)

    async def upload(self, request: Request) -> Response:
        """Take a file of queries or a structure, read it in another process, and say what is in it."""
        what = request.path_params["what"]
        name = suffix_of(request.query_params.get("name", ""), what)
        with anyio.fail_after(UPLOAD_S):
            content = await request.body()
        id = await anyio.to_thread.run_sync(self._workspace.keep_upload, name, content)
        path = self._workspace.upload(id)
        try:
            read = read_upload if what == "queries" else read_structure
            found = await in_worker(read, str(path), seconds=UPLOAD_S)
        except TemplError as error:
            self._workspace.forget_upload(id)
            raise InputError(str(error).replace(str(path), "the file")) from None
        return JSONResponse({"id": id, **found})

    async def submit(self, request: Request) -> Response:
        """Take an order, and say where its page is."""
        order, contents = order_of(await _small_json(request), self._workspace)
        job = await anyio.to_thread.run_sync(self._workspace.submit, order, contents)
        return JSONResponse({"page": f"/runs/{job.id}"})

    async def stop(self, request: Request) -> Response:
        """Stop a job."""
        await anyio.to_thread.run_sync(self._workspace.stop, request.path_params["name"])
        return JSONResponse({})

    async def resume(self, request: Request) -> Response:
        """Go on with a job."""
        await anyio.to_thread.run_sync(self._workspace.resume, request.path_params["name"])
        return JSONResponse({})

    async def events(self, request: Request) -> Response:
        """Messages about a job until it ends (server-sent events)."""
        job = self._workspace.job(request.path_params["name"])

        async def messages() -> AsyncIterator[bytes]:
            last = b""
            while True:
                told = await anyio.to_thread.run_sync(_told, job)
                message = f"data: {json.dumps(told)}\n\n".encode()
                yield message if message != last else b": still here\n\n"
                last = message
                if told["state"] in ("finished", "failed", "stopped"):
                    return
                await anyio.sleep(EVERY_S)

        return StreamingResponse(messages(), media_type="text/event-stream")

    async def wrong(self, request: Request, error: Exception) -> Response:
        """Say what is wrong with what was asked for."""
        status = 404 if isinstance(error, RunError) else 400
        if isinstance(error, TimeoutError):
            return self._message("it took too long and was stopped", 408, request)
        return self._message(str(error), status, request)

    async def absent(self, request: Request, error: Exception) -> Response:
        """Say that there is no such page."""
        return self._message("there is no such page", 404, request)

    async def latest(self, request: Request) -> Response:
        """Go to the pose that was made first, of the newest job that has one; else to its results."""
        for id, job in self._workspace.jobs.items():
            rows = await in_worker(results_view.rows_of, str(job.run))
            posed = [row["index"] for row in rows if row["status"] == "posed"]
            return RedirectResponse(f"/runs/{id}/{min(posed)}" if posed else f"/runs/{id}", 303)
        return RedirectResponse("/", 303)

    async def _view(self, path: Path, index: int) -> dict[str, Any]:
        """Data of a pose; kept, for the page and its script both ask for them."""
        record = await in_worker(results_view.record_at, str(path), index)
        key = (str(path), index, record.address)
        if key not in self._views:
            found = await in_worker(results_view.view_at, str(path), index, self._paths(), seconds=VIEW_S)
            self._views[key] = found
            while len(self._views) > MOST_VIEWS:
                self._views.popitem(last=False)
        return self._views[key]

    def _paths(self) -> list[str]:
        return [str(path) for path in self._workspace.libraries.values()]

    def _complexes(self) -> list[str]:
        """Names of the libraries whose ligands have a receptor each."""
        found = []
        for name, path in self._workspace.libraries.items():
            with open_library(path) as library:
                if library.has_receptors:
                    found.append(name)
        return found

    def _listed(self) -> list[dict[str, Any]]:
        return [
            {
                "id": id,
                "title": title_of(job),
                "kind": job.order.kind,
                "state": job.state,
                "when": f"{id[:4]}-{id[4:6]}-{id[6:8]} {id[9:11]}:{id[11:13]} UTC",
                "progress": job.progress,
            }
            for id, job in self._workspace.jobs.items()
        ]

    def _comparable(self) -> dict[str, Path]:
        """Runs that are judged by crystals, by name."""
        paths = dict(self._workspace.runs)
        paths |= {id: job.run for id, job in self._workspace.jobs.items() if job.order.kind == "benchmark"}
        return {name: path for name, path in paths.items() if self._is_benchmark(None, path)}

    def _is_benchmark(self, job: WebJob | None, path: Path) -> bool:
        if job is not None:
            return job.order.kind == "benchmark"
        from templ.runs.manifest import read_manifest

        try:
            return bool(read_manifest(path).identity.truth)
        except RunError:
            return False

    def _page(self, template: str, status: int = 200, **data: object) -> HTMLResponse:
        text = self._environment.get_template(template).render(data, version=__version__)
        return HTMLResponse(text, status)

    def _message(self, text: str, status: int, request: Request | None = None) -> Response:
        if request is not None and request.url.path.startswith("/api/"):
            return JSONResponse({"error": text}, status)
        return self._page("message.html.j2", status, text=text)


def _file_of(path: str, record: Record, rank: int, kind: str, libraries: list[str]) -> tuple[str, bytes]:
    return download(path, record, rank, kind, results_view.libraries_of(path, libraries))


def _has_pocket(view: dict[str, Any]) -> bool:
    return any(model["kind"] == "pocket" for model in view["models"])


def _told(job: WebJob) -> dict[str, Any]:
    """What a page is told about a job: state, progress, memory."""
    ending, progress = job.ending, job.progress
    memory = {}
    try:
        last = read_samples(job.run)[-1]
        memory = {"tree": last["tree"], "workers": len(last["workers"]), "action": last["action"]}
    except (RunError, KeyError):
        pass
    return {
        "state": job.state,
        "message": "" if ending is None else ending["message"],
        **progress,
        "memory": memory,
    }


async def _small_json(request: Request) -> dict[str, Any]:
    with anyio.fail_after(UPLOAD_S):
        body = await request.body()
    if len(body) > SMALL_BODY:
        raise InputError(f"too long: at most {SMALL_BODY // 1000} kB; drop a file instead")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError("expected JSON: an object")
    return found
