"""Fetching from a server that breaks off, is slow, busy, or has no such file: a real one, on loopback."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from templ.errors import InputError
from templ.sources import fetch
from templ.sources.fetch import SUMS, fetch_structures

MMCIF = b"data_%s\n_cell.length_a 1.0\n" + b"# nothing\n" * 20_000


def body(id):
    return gzip.compress(MMCIF % id.encode(), mtime=0)


class Server(ThreadingHTTPServer):
    """Answers by id: `faults` has what happens to the first requests for it."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = {}
        self.asked = Counter()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, id = self.server, self.path.strip("/").partition(".")[0]
        with server.lock:
            server.asked[id] += 1
            faults = server.faults.get(id, [])
            fault = faults.pop(0) if faults else ""
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            getattr(self, fault or "whole")(body(id))
        except OSError:
            pass
        finally:
            with server.lock:
                server.at_once -= 1

    def head(self, code=200, length=None, **headers):
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def whole(self, data):
        time.sleep(0.05)
        self.head(length=len(data))
        self.wfile.write(data)

    def plain(self, data):
        data = gzip.decompress(data)
        self.head(length=len(data))
        self.wfile.write(data)

    def absent(self, data):
        self.head(404, 0)

    def busy(self, data):
        self.head(503, 0, Retry_After="0")

    def forbidden(self, data):
        self.head(403, 0)

    def breaks_off(self, data):
        self.head(length=len(data))
        self.wfile.write(data[: len(data) // 2])
        self.connection.close()

    def half_a_file(self, data):
        self.head(length=len(data) // 2)
        self.wfile.write(data[: len(data) // 2])

    def hangs(self, data):
        self.head(length=len(data))
        self.wfile.write(data[:20])
        self.wfile.flush()
        time.sleep(3)

    def page(self, data):
        self.head()
        self.wfile.write(b"<html>log in</html>")

    def resets(self, data):
        self.connection.close()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(fetch, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(fetch, "READ_S", 0.5)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_are_fetched_whole_several_at_a_time(tmp_path, server):
    ids = [f"{number}abc" for number in range(1, 9)]
    told = []
    faults = fetch_structures(
        [id.upper() for id in ids],
        tmp_path / "pdb",
        mirror=server.address,
        on_progress=lambda *done: told.append(done),
    )
    assert not faults
    assert files(tmp_path / "pdb") == [*(f"{id}.cif.gz" for id in ids), SUMS]
    assert (tmp_path / "pdb/1abc.cif.gz").read_bytes() == body("1abc")
    assert 1 < server.most_at_once <= fetch.AT_ONCE
    assert told[-1] == (8, 8)


@pytest.mark.parametrize("fault", ["breaks_off", "half_a_file", "hangs", "busy", "page", "resets"])
def test_what_fails_once_is_tried_again(tmp_path, server, fault):
    server.faults["1abc"] = [fault, fault]
    assert not fetch_structures(["1abc"], tmp_path, mirror=server.address)
    assert server.asked["1abc"] == 3
    assert (tmp_path / "1abc.cif.gz").read_bytes() == body("1abc")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("breaks_off", "the connection broke off"),
        ("half_a_file", "the file is not whole"),
        ("hangs", "no response in time"),
        ("busy", "responded 503"),
        ("page", "the file is no mmCIF"),
    ],
)
def test_what_always_fails_leaves_nothing_and_the_others_go_on(tmp_path, server, fault, message):
    server.faults["1abc"] = [fault] * fetch.ATTEMPTS
    faults = fetch_structures(["1abc", "2abc"], tmp_path, mirror=server.address)
    assert list(faults) == ["1abc"]
    assert message in faults["1abc"]
    assert "5 times" in faults["1abc"]
    assert files(tmp_path) == ["2abc.cif.gz", SUMS]


@pytest.mark.parametrize(("fault", "message"), [("absent", "no such structure .404"), ("forbidden", "403")])
def test_what_is_not_there_is_asked_for_once(tmp_path, server, fault, message):
    import re

    server.faults["1abc"] = [fault] * 9
    faults = fetch_structures(["1abc"], tmp_path, mirror=server.address)
    assert re.search(message, faults["1abc"])
    assert server.asked["1abc"] == 1


def test_what_is_there_is_not_fetched_and_what_is_damaged_is(tmp_path, server):
    fetch_structures(["1abc", "2abc", "3abc"], tmp_path, mirror=server.address)
    (tmp_path / "2abc.cif.gz").write_bytes(body("9xyz"))  # whole, and not what was fetched
    (tmp_path / "3abc.cif.gz").unlink()
    assert not fetch_structures(["1abc", "2abc", "3abc"], tmp_path, mirror=server.address)
    assert server.asked == {"1abc": 1, "2abc": 2, "3abc": 2}
    assert (tmp_path / "2abc.cif.gz").read_bytes() == body("2abc")


def test_files_of_the_users_own_stay_when_they_are_whole(tmp_path, server):
    (tmp_path / "1abc.cif.gz").write_bytes(body("9xyz"))
    (tmp_path / "2abc.cif.gz").write_bytes(body("2abc")[:-20])
    fetch_structures(["1abc", "2abc"], tmp_path, mirror=server.address)
    assert server.asked == {"2abc": 1}


def test_the_checksums_are_those_of_the_files(tmp_path, server):
    fetch_structures(["2abc", "1abc"], tmp_path, mirror=server.address)
    assert (tmp_path / SUMS).read_text() == "".join(
        f"{hashlib.sha256(body(id)).hexdigest()}  {id}.cif.gz\n" for id in ("1abc", "2abc")
    )


def test_a_mirror_can_have_its_own_names_and_plain_files(tmp_path, server):
    server.faults["1abc"] = ["plain"]
    mirror = server.address + "/{id}.cif?in={middle}"
    assert not fetch_structures(["1ABC"], tmp_path, mirror=mirror)
    assert gzip.decompress((tmp_path / "1abc.cif.gz").read_bytes()) == gzip.decompress(body("1abc"))
    assert fetch._address("x/{middle}/{id}", "5r7y") == "x/r7/5r7y"


def test_no_server_at_all(tmp_path, server):
    address = server.address
    server.shutdown()
    server.server_close()
    assert "no connection" in fetch_structures(["1abc"], tmp_path, mirror=address)["1abc"]


@pytest.mark.parametrize("id", ["", "abc", "12345", "../x", "0abc"])
def test_ids_that_are_none(tmp_path, id):
    with pytest.raises(InputError, match="no PDB id"):
        fetch_structures(["1abc", id], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_mirror_that_is_no_address(tmp_path):
    with pytest.raises(InputError, match="expected an address"):
        fetch_structures(["1abc"], tmp_path, mirror="ftp://example.org")
