"""Fetches structures from the PDB, or a mirror of it, into a folder that is also their cache."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from templ.disk import make_folder, replacing
from templ.errors import InputError

if TYPE_CHECKING:
    import requests

RCSB = "https://files.rcsb.org/download/{id}.cif.gz"
AT_ONCE = 4
"""Downloads side by side: servers refuse many more from one address."""
ATTEMPTS = 5
FIRST_WAIT = 1.0
"""Seconds before the second attempt; doubled each time, unless the server names another time."""
LONGEST_WAIT = 60.0
CONNECT_S, READ_S = 10.0, 30.0
"""Seconds without a response, and without a byte, that end an attempt."""
WHOLE_S = 600.0
"""Seconds that one attempt may take: a server can trickle."""
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Responses after which another attempt may do."""
SUMS = "SHA256SUMS"
PDB_ID = re.compile(r"[1-9][a-z0-9]{3}|pdb_[a-z0-9]{8}")
GZIP = b"\x1f\x8b"
_CHUNK = 1 << 16


class FetchError(InputError):
    """A structure cannot be had; `again` tells whether another attempt may do."""

    def __init__(self, message: str, again: bool, wait: float = 0.0) -> None:
        super().__init__(message)
        self.again = again
        self.wait = wait


def fetch_structures(
    ids: Iterable[str],
    folder: str | Path,
    *,
    mirror: str = RCSB,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Fetch structures as gzipped mmCIF, several at a time; those that are there already are not fetched.

    A file is in place only when it is whole: gzip's own checksum is compared. ``SHA256SUMS`` in the folder
    has the checksums of all (``sha256sum -c`` reads it); a file that differs from it is fetched anew.

    Parameters
    ----------
    ids : iterable of str
        PDB ids, in any case.
    folder : str or Path
        Where to; made if need be.
    mirror : str
        Address of a file, with ``{id}`` and perhaps ``{middle}`` (second and third letter) in it, or of a
        folder that has ``<id>.cif.gz``.
    on_progress : callable
        Told how many are done, of how many.

    Returns
    -------
    dict of str to str
        By id, why a structure could not be had; empty when all are there.

    Raises
    ------
    InputError
        When an id is none, the mirror is no address, or the package `requests` is missing.
    StorageError
        When the disk refuses.
    """
    try:
        import requests
    except ImportError:
        raise InputError("fetching needs requests: pip install 'templ-pose[structures]'") from None
    wanted = list(dict.fromkeys(id.strip().lower() for id in ids))
    wrong = [id for id in wanted if not PDB_ID.fullmatch(id)]
    if wrong:
        raise InputError(f"{', '.join(wrong[:5])}: no PDB id; expected four characters such as 5r7y")
    if not mirror.startswith(("https://", "http://")):
        raise InputError(f"--mirror {mirror}: expected an address that begins with https://")
    folder = Path(folder)
    make_folder(folder)
    sums, faults = _read_sums(folder), {}
    pool, stopped = ThreadPoolExecutor(AT_ONCE), threading.Event()
    try:
        with requests.Session() as session:
            fetcher = _Fetcher(session, folder, mirror, stopped)
            work = {pool.submit(fetcher.have, id, sums.get(_name(id))): id for id in wanted}
            for done, future in enumerate(as_completed(work), 1):
                id = work[future]
                try:
                    sums[_name(id)] = future.result()
                except FetchError as error:
                    faults[id] = str(error)
                on_progress(done, len(wanted))
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
        with replacing(folder / SUMS) as file:
            file.write("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode())
    return {id: faults[id] for id in wanted if id in faults}


def _name(id: str) -> str:
    return f"{id}.cif.gz"


def _read_sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2}


@dataclass(frozen=True, slots=True)
class _Fetcher:
    session: requests.Session
    folder: Path
    mirror: str
    stopped: threading.Event

    def have(self, id: str, known: str | None) -> str:
        """Return the checksum of a structure's file, fetched unless it is there and sound."""
        path = self.folder / _name(id)
        if path.is_file():
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            if digest == known or (known is None and not _fault(data)):
                return digest
        wait = FIRST_WAIT
        for attempt in range(1, ATTEMPTS + 1):
            try:
                data = self._get(_address(self.mirror, id))
                break
            except FetchError as error:
                if not error.again:
                    raise
                if attempt == ATTEMPTS:
                    message = f"{error}, {ATTEMPTS} times; try again later"
                    raise FetchError(message, again=False) from None
                self.stopped.wait(min(max(wait, error.wait), LONGEST_WAIT))
                wait *= 2
        with replacing(path) as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    def _get(self, address: str) -> bytes:
        """Fetch a file once: whole, and gzipped if the server has it plain."""
        import requests
        import urllib3

        try:
            with self.session.get(
                address, stream=True, timeout=(CONNECT_S, READ_S), headers={"Accept-Encoding": "identity"}
            ) as response:
                _check(response, address)
                data = self._body(response, address)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise FetchError(f"{_plain(error)}: {address}", again=True) from None
        found = data if data.startswith(GZIP) else gzip.compress(data, mtime=0)
        fault = _fault(found)
        if fault:
            raise FetchError(f"{fault}: {address}", again=True)
        return found

    def _body(self, response: requests.Response, address: str) -> bytes:
        data, end = bytearray(), time.monotonic() + WHOLE_S
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            data += chunk
            if self.stopped.is_set():
                raise FetchError("stopped", again=False)
            if time.monotonic() > end:
                raise FetchError(f"not whole after {WHOLE_S:g} s: {address}", again=True)
        expected = response.headers.get("Content-Length", "")
        if expected.isdecimal() and len(data) < int(expected):
            raise FetchError(f"{len(data)} of {expected} bytes came: {address}", again=True)
        return bytes(data)


def _address(mirror: str, id: str) -> str:
    if "{id}" in mirror:
        return mirror.replace("{id}", id).replace("{middle}", id[-3:-1])
    return f"{mirror.rstrip('/')}/{_name(id)}"


def _check(response: requests.Response, address: str) -> None:
    """Refuse an response that is not a file."""
    if response.status_code == 404:
        raise FetchError(f"the server has no such structure (404): {address}", again=False)
    if not response.ok:
        wait = response.headers.get("Retry-After", "")
        raise FetchError(
            f"the server responded {response.status_code} {response.reason}: {address}",
            again=response.status_code in TRANSIENT,
            wait=float(wait) if wait.isdecimal() else 0.0,
        )


def _fault(data: bytes) -> str:
    """Say what is wrong with a file; empty where it is a whole gzipped mmCIF."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as text:
            head = text.read(_CHUNK)
            while text.read(_CHUNK):  # to the end, where the checksum is
                pass
    except (OSError, EOFError, zlib.error):
        return "the file is not whole"
    return "" if b"data_" in head else "the file is no mmCIF"


def _plain(error: Exception) -> str:
    """Say in a few words why a connection failed."""
    text = type(error).__name__
    for kind, words in (
        ("Timeout", "no response in time"),
        ("NameResolution", "the name of the server is not known"),
        ("Incomplete", "the connection broke off"),
        ("Protocol", "the connection broke off"),
        ("SSL", "the certificate of the server is not trusted"),
        ("Chunked", "the connection broke off"),
        ("Connection", "no connection"),
    ):
        if kind in text or kind in str(error):
            return words
    return f"no connection ({text})"
