"""`make study`: the tracker, three trained runs to look at, and JupyterLab, all of which end together.

.tracker/           what this checkout keeps, ignored by git: the tracker's database, spools, and these logs
.tracker/tracker.log  jupyter.log  demo.log
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn, Self

from tracker.client.http import Api
from tracker.server.claim import Claim, FolderBusy
from tracker.server.config import PORT, PORTS

from .source import ROOT

FOLDER = ROOT / ".tracker"
CONFIG = Path(__file__).parent / "jupyter"
START_SECONDS = 60.0  # the first start compiles every package
STOP_SECONDS = 10.0
LAB = "/lab/tree/notebooks/start.ipynb"


class StudyError(Exception):
    """Something could not be started; the text says what it said."""


def study(*, browser: bool) -> int:
    """Starts everything, prints the addresses, and waits for Ctrl-C. Raises StudyError."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with Children() as running:
            print("Starting the tracker and JupyterLab ...", flush=True)
            token = secrets.token_hex(16)
            url, server = _tracker(running)
            environment = {"TRACKER_URL": url, "JUPYTER_TOKEN": token, "JUPYTER_CONFIG_PATH": str(CONFIG)}
            lab = running.start("jupyter", _jupyter(), environment)
            if server:
                _wait_for(server, "tracker", re.compile(r"tracker: (http://[^/]+)/ui/"))
            _demo(running, url)
            port = _wait_for(lab, "jupyter", re.compile(r"http://127\.0\.0\.1:(\d+)/"))
            _wait_for_port(lab, int(port))
            workbook = f"http://127.0.0.1:{port}{LAB}?token={token}"
            print(f"\n  workbook   {workbook}\n  dashboard  {url}/ui/\n\nCtrl-C ends both.", flush=True)
            if browser and _has_browser():
                webbrowser.open(workbook)
            while lab.poll() is None and (server is None or server.poll() is None):
                time.sleep(0.5)
        print("One of them has ended by itself; the other was ended too. The logs are in .tracker", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nEnded. Your answers are in exercises/, what was tracked is in .tracker/")
        return 0
    return 1


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _tracker(running: Children) -> tuple[str, subprocess.Popen[bytes] | None]:
    """The address of this checkout's tracker, and its process unless another `make study` has it running already.

    The address is settled before the tracker has started, so that JupyterLab can start beside it.
    """
    try:
        Claim(FOLDER).release()
    except FolderBusy as busy:
        if not busy.address:
            raise StudyError(f"{busy}, but does not say where it listens; try again") from None
        print(f"The tracker of this checkout runs already, at {busy.address}")
        return busy.address, None
    with _listener() as listener:
        command = [sys.executable, "-m", "tracker", "serve", "--fd", str(listener.fileno())]
        port = listener.getsockname()[1]
        return f"http://127.0.0.1:{port}", running.start("tracker", command, listener=listener)


def _listener() -> socket.socket:
    """The tracker's socket, made here: a port that is only found free may be taken before the tracker is there."""
    for port in range(PORT, PORT + PORTS):
        with suppress(OSError):
            listener = socket.create_server(("127.0.0.1", port), backlog=2048)
            if port != PORT:
                print(f"Port {PORT} is busy, so the tracker gets {port}")
            return listener
    raise StudyError(f"no port from {PORT} to {PORT + PORTS - 1} is free for the tracker")


def _jupyter() -> list[str]:
    return [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--ServerApp.root_dir={ROOT}"),
        "--ServerApp.ip=127.0.0.1",
        # JupyterLab would ask a server on the internet for news and for newer versions of itself. It also asks the
        # reader whether it may: workbook/jupyter/labconfig answers that.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]


def _demo(running: Children, url: str) -> None:
    """Trains the three runs of the demo in the background, unless they are there."""
    with closing(Api(url)) as api:
        experiments = api.request("GET", "/experiments?name=digits")["items"]
    if not (experiments and experiments[0]["run_count"]):
        print("Training three small networks in the background ...", flush=True)
        running.start("demo", [sys.executable, "-m", "tracker", "demo"], {"TRACKER_URL": url})


class Children:
    """Child processes, all of which are told to end at the end of the block, and then waited for."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str] | None = None,
        listener: socket.socket | None = None,
    ) -> subprocess.Popen[bytes]:
        """A process, which is given the listener; what it prints is in .tracker/NAME.log."""
        FOLDER.mkdir(exist_ok=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with (FOLDER / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"PATH": path, "TRACKER_DIR": str(FOLDER)} | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()] if listener else [],
                start_new_session=True,  # Ctrl-C in the terminal is for us, and we end them in order
            )
        self._processes.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], name: str, pattern: re.Pattern[str]) -> str:
    """What the process's log says at the pattern's group. Raises StudyError when it ends or stays silent."""
    log = FOLDER / f"{name}.log"
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
    raise StudyError(f"{name} did not start; its log ({log}) ends with:\n{last}")


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """JupyterLab says where it is some milliseconds before it can be reached there."""
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.02)


def _has_browser() -> bool:
    """A screen to show one on; `webbrowser` would else start a text browser in this terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
