"""The server: addresses, and its life from the first request to the last."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from templ.errors import TemplError
from templ.web.access import Access
from templ.web.bounded_work import in_worker
from templ.web.pages import Pages
from templ.web.query_lookup import warm_up

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from templ.web.workspace import Workspace

ADVANCE_S = 0.5
"""Seconds between two looks at whether the next job can start."""


def make_app(workspace: Workspace, token: str, hosts: Iterable[str]) -> Starlette:
    """Make the app.

    Parameters
    ----------
    workspace : Workspace
    token : str
        That a visitor must have.
    hosts : iterable of str
        ``name:port`` by which it may be asked.

    Returns
    -------
    Starlette
        An ASGI app.
    """
    pages = Pages(workspace)
    run, pose = "/runs/{name:str}", "/runs/{name:str}/{index:int}"
    get: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/": pages.predict,
        "/latest": pages.latest,
        "/runs": pages.runs,
        run: pages.results,
        pose: pages.pose,
        "/compare": pages.compare,
        "/static/{name:str}": pages.static,
        f"{pose}/{{rank:int}}/{{kind:str}}": pages.file,
        f"/api{run}/rows": pages.rows,
        f"/api{run}/plots": pages.plots,
        f"/api{run}/events": pages.events,
        f"/api{pose}": pages.view,
        f"/api{pose}/card": pages.card,
        "/api/overlay": pages.overlay,
    }
    post = {
        "/api/look-up": pages.look_up,
        "/api/uploads/{what:str}": pages.upload,
        "/api/jobs": pages.submit,
        f"/api{run}/poses": pages.poses,
        f"/api{run}/stop": pages.stop,
        f"/api{run}/resume": pages.resume,
    }
    routes = [Route(path, page, methods=["GET"]) for path, page in get.items()]
    routes += [Route(path, page, methods=["POST"]) for path, page in post.items()]

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        async def advance() -> None:
            while True:
                await anyio.to_thread.run_sync(workspace.advance)
                await anyio.sleep(ADVANCE_S)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(advance)
            tasks.start_soon(in_worker, warm_up)
            yield
            tasks.cancel_scope.cancel()
        workspace.close()

    return Starlette(
        routes=routes,
        lifespan=life,
        middleware=[
            Middleware(Access, token=token, hosts=hosts),
            Middleware(GZipMiddleware, minimum_size=2000),
        ],
        exception_handlers={TemplError: pages.wrong, TimeoutError: pages.wrong, 404: pages.absent},
    )
