"""The processes of a checkout: a tracker, what trains against it, JupyterLab. Each prints into a log in their folder,
and all of them end when we do.

.tracker/                                 what this checkout keeps, ignored by git: the tracker's database and spools
.tracker/tracker.log  jupyter.log  demo.log
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn, Self

from tracker.client.http import Api
from tracker.server.claim import Claim, FolderBusy
from tracker.server.config import PORT, PORTS

from .source import ROOT

FOLDER = ROOT / ".tracker"
START_SECONDS = 60.0  # the first start compiles every package
STOP_SECONDS = 10.0


class NotStarted(Exception):
    """Something could not be started; the text says what it said."""


class Processes:
    """All that are started here are told to end at the end of the block, and then waited for."""

    def __init__(self, folder: Path = FOLDER, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = {"TRACKER_DIR": str(folder)} | dict(environment or {})
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        listener: socket.socket | None = None,
    ) -> subprocess.Popen[bytes]:
        """A process, which is given the listener; what it prints is in NAME.log."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"PATH": path} | self._environment | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()] if listener else [],
                start_new_session=True,  # Ctrl-C in the terminal is for us, and we end them in order
            )
        self._running.append(process)
        return process

    def tracker(self, about: str = "") -> tuple[str, subprocess.Popen[bytes] | None]:
        """The address of this folder's tracker, and its process unless somebody else has it running already.

        The address is settled before the tracker has started, so that others can start beside it. Raises NotStarted.
        """
        try:
            Claim(self._folder).release()
        except FolderBusy as busy:
            if not busy.address:
                raise NotStarted(f"{busy}, but does not say where it listens; try again") from None
            print(f"The tracker of this checkout runs already, at {busy.address}")
            return busy.address, None
        with listen() as listener:
            command = [sys.executable, "-m", "tracker", "serve", "--fd", str(listener.fileno()), "--about", about]
            port = listener.getsockname()[1]
            return f"http://127.0.0.1:{port}", self.start("tracker", command, listener=listener)

    def demo(self, url: str, server: subprocess.Popen[bytes] | None) -> None:
        """Waits for the tracker, and trains the three runs of the demo against it, unless they are there."""
        if server:
            self.wait_for(server, "tracker", re.compile(r"tracker: (http://[^/]+)/ui/"))
        with closing(Api(url)) as api:
            experiments = api.request("GET", "/experiments?name=digits")["items"]
        if not (experiments and experiments[0]["run_count"]):
            print("Training three small networks in the background ...", flush=True)
            self.start("demo", [sys.executable, "-m", "tracker", "demo"], {"TRACKER_URL": url})

    def wait_for(self, process: subprocess.Popen[bytes], name: str, pattern: re.Pattern[str]) -> str:
        """What the process's log says at the pattern's group. Raises NotStarted when it ends or stays silent."""
        log = self._folder / f"{name}.log"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ended = process.poll() is not None
            found = pattern.search(log.read_text(errors="replace"))
            if found:
                return found[1]
            if ended:
                break
            time.sleep(0.05)
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise NotStarted(f"{name} did not start; its log ({log}) ends with:\n{last}")


def listen() -> socket.socket:
    """A tracker's socket, made here: a port that is only found free may be taken before the tracker is there."""
    for port in range(PORT, PORT + PORTS):
        with suppress(OSError):
            listener = socket.create_server(("127.0.0.1", port), backlog=2048)
            if port != PORT:
                print(f"Port {PORT} is busy, so the tracker gets {port}")
            return listener
    raise NotStarted(f"no port from {PORT} to {PORT + PORTS - 1} is free for the tracker")


def end_in_order() -> None:
    """From now on, whatever tells this process to end is a KeyboardInterrupt: the others end before it does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
