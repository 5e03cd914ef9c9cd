"""Who may ask what of the server: the token, the host, the origin, and how much a request may bring.

A page of somebody else that is open in the same browser can send requests to this server. It has no token,
and the cookie is not sent with it; the name that the server is asked by must be its own (DNS rebinding), and
so must the origin of whatever changes something. What the server sends may load nothing from elsewhere, and
runs no script but those of the server.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse

from templ.disk import storage_errors

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"
"""Of the address that the server prints; the browser keeps it as a cookie from then on."""
LARGEST_BODY = 20_000_000
"""Bytes that a request may bring."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Workers from ``blob:``: 3Dmol computes surfaces in them."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE = {"GET", "HEAD"}


def read_token(path: Path) -> str:
    """Read the token of a workspace, made the first time: open pages and bookmarks outlive a restart.

    Raises
    ------
    StorageError
        When the file can be neither read nor written.
    """
    with storage_errors(path):
        if path.exists():
            return path.read_text(encoding="ascii").strip()
        token = secrets.token_urlsafe(24)
        path.touch(mode=0o600)
        path.write_text(token, encoding="ascii")
    return token


class Access:
    """Lets through what may be asked, and puts `HEADERS` on everything that is sent.

    Parameters
    ----------
    token : str
        That a visitor must have.
    hosts : iterable of str
        ``name:port`` by which the server may be asked.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str]) -> None:
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise TooLarge
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, with_headers)
            return
        try:
            await self._app(scope, bounded, with_headers)
        except TooLarge:
            text = f"too large: at most {LARGEST_BODY // 10**6} MB"
            await PlainTextResponse(text, 413)(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | RedirectResponse | None:
        """What is sent instead of the page; None where it may be seen."""
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("this server is asked by another name than its own", 421)
        origin = headers.get("origin")
        if scope["method"] not in SAFE and origin != f"http://{host}":
            return PlainTextResponse("the request comes from another page", 403)
        if origin not in (None, f"http://{host}") or headers.get("sec-fetch-site", "none") == "cross-site":
            return PlainTextResponse("the request comes from another page", 403)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get(TOKEN, "")
        cookie = f"templ-{host.rpartition(':')[2]}"  # browsers keep the cookies of all ports together
        if given and scope["method"] in SAFE and secrets.compare_digest(given.encode(), self._token.encode()):
            rest = urlencode([(name, value) for name, value in query if name != TOKEN])
            page = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
            page.set_cookie(cookie, self._token, httponly=True, samesite="strict", max_age=30 * 24 * 3600)
            return page
        if not secrets.compare_digest(_cookie(headers, cookie).encode(), self._token.encode()):
            return PlainTextResponse("open the address that `templ serve` printed: it has the token", 403)
        return None


class TooLarge(Exception):
    """A request brings more than it may."""


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
