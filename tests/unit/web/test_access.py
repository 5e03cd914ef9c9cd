"""Who is let in: asked of the app itself, without a socket."""

from __future__ import annotations

import anyio
import pytest

from templ.errors import StorageError
from templ.web.access import LARGEST_BODY, Access, read_token

HOST = "127.0.0.1:8000"


async def page(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"secret"})


def asked(method="GET", path="/", query="", bodies=(b"",), **headers):
    """Status, headers and body of a request."""
    headers = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    left, sent = list(bodies), []

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    anyio.run(Access(page, "token", [HOST, "localhost:8000"]), scope, receive, send)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, sent[1]["body"]


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (200, {"cookie": "templ-8000=token"}),
        (200, {"cookie": "other=1; templ-8000=token", "sec_fetch_site": "none"}),
        (403, {}),
        (403, {"cookie": "templ-8000=tokem"}),
        (403, {"cookie": "templ-9000=token"}),
        (403, {"query": "token=tokem"}),
        (421, {"cookie": "templ-8000=token", "host": "evil.example:8000"}),
        (421, {"cookie": "templ-8000=token", "host": "127.0.0.1"}),
        (403, {"cookie": "templ-8000=token", "origin": "http://evil.example"}),
        (403, {"cookie": "templ-8000=token", "sec_fetch_site": "cross-site"}),
        (403, {"cookie": "templ-8000=token", "method": "POST"}),
        (403, {"cookie": "templ-8000=token", "method": "POST", "origin": "http://localhost:9999"}),
        (403, {"cookie": "templ-8000=token", "method": "POST", "origin": "null"}),
        (403, {"query": "token=token", "method": "POST", "origin": f"http://{HOST}"}),
        (200, {"cookie": "templ-8000=token", "method": "POST", "origin": f"http://{HOST}"}),
    ],
)
def test_who_is_let_in(status, request_):
    found, headers, body = asked(**request_)
    assert found == status
    assert (body == b"secret") == (status == 200)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_the_token_becomes_a_cookie_and_leaves_the_address():
    status, headers, _ = asked(path="/runs", query="a=1&token=token")
    assert (status, headers["location"]) == (303, "/runs?a=1")
    assert "templ-8000=token" in headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in headers["set-cookie"].split(";")}


def test_a_body_has_an_end():
    pieces = [b"x" * (LARGEST_BODY // 4)] * 5
    post = {"method": "POST", "cookie": "templ-8000=token", "origin": f"http://{HOST}"}
    assert asked(bodies=pieces, **post)[0] == 413
    assert asked(bodies=pieces[:3], **post)[0] == 200


def test_the_token_of_a_folder_is_kept_and_nobody_else_reads_it(tmp_path):
    token = read_token(tmp_path / "token")
    assert len(token) >= 32
    assert read_token(tmp_path / "token") == token
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    with pytest.raises(StorageError):
        read_token(tmp_path / "nowhere" / "token")
