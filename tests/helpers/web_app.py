"""The web app in a process of its own, with a job, runs and a library, for the tests that visit it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

from templ.checksums import CHECKSUM, checksum, with_checksum
from templ.runs.journal import read_records
from templ.runs.pose_shards import read_poses

MANY = 10_000
PATIENCE_S = 180
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"


class Served:
    """A running server: its address, its folder, and requests that have the token."""

    def __init__(self, process, folder, address):
        self.process, self.folder, self.first = process, folder, address
        self.port = urlsplit(address).port
        self.token = urlsplit(address).query.partition("=")[2]
        self.home = f"http://127.0.0.1:{self.port}"

    def ask(self, path, method="GET", body=None, **headers):
        """Status and body of a request; `headers` replace those that a browser would send."""
        sent = {"Cookie": f"templ-{self.port}={self.token}", "Origin": self.home, **headers}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            told = connection.getresponse()
            return told.status, told.read()

    def jobs(self):
        return sorted(path.name for path in (self.folder / "jobs").iterdir())


def start(folder, *words):
    process = subprocess.Popen(
        [sys.executable, "-m", "templ", "serve", *map(str, words), "--folder", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return Served(process, folder, process.stdout.readline().strip())


def stop(served):
    served.process.send_signal(signal.SIGTERM)
    try:
        served.process.wait(PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.stdout.close()


def wait_for(true, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def with_a_miss(run, folder, index, apart=4.25):
    """A copy of a run in which a first pose lies elsewhere, Angstrom, and so far from the crystal."""
    subprocess.run(["cp", "-r", str(run), str(folder)], check=True)
    journal = folder / "results.jsonl"
    records = list(read_records(journal))
    record = records[index]
    lines = read_poses(folder, record.address).split("\n")
    for atom in range(4, 4 + int(lines[3][:3])):
        lines[atom] = f"{float(lines[atom][:10]) + apart:10.4f}{lines[atom][10:]}"
    text = "\n".join(lines).encode()
    shard = folder / record.address.shard
    address = replace(record.address, offset=shard.stat().st_size, length=len(text), checksum=checksum(text))
    with shard.open("ab") as file:
        file.write(text)
    first, *others = record.poses
    records[index] = replace(record, poses=(replace(first, rmsd=apart), *others), address=address)
    journal.write_bytes(b"".join(record.to_line() for record in records))


def with_many_records(run, folder):
    """A copy of a run in which each record is there again and again, some of them with nasty names."""
    subprocess.run(["cp", "-r", str(run), str(folder)], check=True)
    records = list(read_records(run / "results.jsonl"))
    lines = []
    for index in range(MANY):
        record = records[index % len(records)]
        name = HOSTILE if index == 1 else f"{record.id}-{index}"
        lines.append(replace(record, index=index, id=name).to_line())
    (folder / "results.jsonl").write_bytes(b"".join(lines))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest[CHECKSUM]
    manifest["targets"] = MANY
    (folder / "manifest.json").write_text(json.dumps(with_checksum(manifest)))
