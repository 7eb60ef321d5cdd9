"""A real server to measure: `tracker serve`, a process of its own on a free port of 127.0.0.1; and `tracker worker`.

They have the tracker's defaults, and beside them what a measurement sets. What is set for a tracker of yours does not
count: it would measure that one's database.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from .figure import WrongAnswer

PATIENCE = 10.0  # s that a server has to end, once it was asked to


class Server:
    """A tracker that answers at `url`."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url = url
        self._process = process

    def cpu_seconds(self) -> float:
        """User and system time of the server so far, in steps of the kernel's clock (10 ms)."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that stays open."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        try:
            yield Connection(connection)
        finally:
            connection.close()


class Connection:
    """Sends bodies that are encoded already, and leaves answers as they come. Not for two threads at once."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """The answer's status and body."""
        headers = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def get(self, path: str) -> bytes:
        """The body of a success. Raises WrongAnswer for anything else."""
        return self._succeed("GET", path)

    def post(self, path: str, body: bytes) -> bytes:
        """The body of a success. Raises WrongAnswer for anything else."""
        return self._succeed("POST", path, body)

    def read(self, path: str) -> Any:
        """What the answer says, decoded."""
        return json.loads(self.get(path))

    def new_run(self) -> int:
        """The id of a new run, in an experiment that is made for it where there is none."""
        self.send("POST", "/experiments", b'{"name": "benchmark"}')
        run = json.loads(self.post("/experiments/1/runs", b"{}"))
        return int(run["id"])

    def _succeed(self, method: str, path: str, body: bytes | None = None) -> bytes:
        status, answer = self.send(method, path, body)
        if not 200 <= status < 300:
            raise WrongAnswer(f"{method} {path} was answered with {status}: {answer[:500]!r}")
        return answer


@contextmanager
def serving(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server on the tracker.db of the folder, unless its settings name another database, which must be migrated. It
    is ended whatever happens in the block, by Ctrl-C for instance."""
    arguments = ["serve", "--dir", str(folder), "--port", "0"]
    with _running(folder, arguments, settings or {}, r"(http://\S+)/ui/") as (found, process):
        yield Server(found, psutil.Process(process.pid))


@contextmanager
def working(folder: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """A worker, which takes from the queue that the settings name."""
    with _running(folder, ["worker"], settings, "(queue)"):
        yield


@contextmanager
def _running(
    folder: Path, arguments: Sequence[str], settings: Mapping[str, str], ready: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A tracker, once its first line says that it is ready, and what that line says."""
    folder.mkdir(exist_ok=True)
    log_file = folder / f"{arguments[0]}.log"
    with (
        log_file.open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tracker", *arguments],
            env=_defaults() | {"TRACKER_DIR": str(folder)} | dict(settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout
            found = re.search(ready, process.stdout.readline())
            if not found:
                raise RuntimeError(f"`tracker {arguments[0]}` did not start: {log_file.read_text()}")
            yield found[1], process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _defaults() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TRACKER_")}
