"""Private servers for the tests: real ones, on a free port of 127.0.0.1, each in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings

from tracker.server.app import create_app
from tracker.server.config import Settings
from tracker.server.db import Database
from tracker.server.serve import KEEP_ALIVE
from workbook.build import build_exercises
from workbook.source import ROOT, sources

# `make test` tries the same examples every time, and `make test-slow` many others. A fixture is shared by all examples
# of a test: it has to be one that they do not change. A busy computer makes no example wrong. Of a mutant it is enough
# to know that it fails.
settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("slow", settings.get_profile("house"), derandomize=False, max_examples=2000)
settings.register_profile(
    "mutants", settings.get_profile("house"), max_examples=100, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@dataclass
class Server:
    """A tracker that answers at `url`."""

    url: str
    folder: Path
    app: FastAPI


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with answering(Settings(tmp_path_factory.mktemp("server"))) as server:
        yield server


@contextmanager
def answering(settings: Settings) -> Iterator[Server]:
    """A server with these settings, in a thread."""
    database = Database(settings.folder / "tracker.db")
    database.migrate()
    app = create_app(settings, database, about="A server for <tests>")
    config = uvicorn.Config(app, port=0, log_level="critical", timeout_keep_alive=KEEP_ALIVE)
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run)
    thread.start()
    wait_until(lambda: uvicorn_server.started or not thread.is_alive())
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Server(f"http://127.0.0.1:{port}", settings.folder, app)
    finally:
        uvicorn_server.should_exit = True
        thread.join()
        database.close()


@pytest.fixture(scope="module", name="answering")
def _answering() -> Callable[[Settings], AbstractContextManager[Server]]:
    return answering


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "tracker.db")
    database.migrate()
    yield database
    database.close()


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Returns as soon as the condition holds; fails the test when it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until


def checkout_files() -> list[str]:
    """Those of this checkout that git knows, or would if they were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, as git would give it, with untouched exercises: nobody's own tracker or answers are used."""
    target = tmp_path / "checkout"
    for name in checkout_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((ROOT / name).read_bytes())
    for source in sources():
        (target / source.notebooks[0]).unlink()
        build_exercises(source, target)
    return target


@dataclass
class Study:
    """A running `make study` of a checkout."""

    checkout: Path
    process: subprocess.Popen[str]
    workbook: str
    dashboard: str

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Python in the checkout, as its own terminal would."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.checkout, env=in_checkout(self.checkout), capture_output=True, text=True, check=False
        )


def in_checkout(checkout: Path) -> dict[str, str]:
    """The environment in which `tracker` and `workbook` are those of the checkout."""
    return os.environ | {"PYTHONPATH": str(checkout), "HOME": str(checkout / "home")}


@contextmanager
def studying(checkout: Path) -> Iterator[Study]:
    """`make study`, without its set-up; ended by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbook", "study", "--no-browser"],
        cwd=checkout,
        env=in_checkout(checkout),
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with Ctrl-C ignored, and they hand that on to us and to this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    said, found = "", None
    for line in process.stdout:
        said += line
        found = re.search(r"workbook +(http://\S+)\n  dashboard +(http://\S+)\n", said)
        if found:
            break
    assert found, said
    try:
        yield Study(checkout, process, found[1], found[2])
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise


@pytest.fixture(name="studying")
def _studying() -> Callable[[Path], AbstractContextManager[Study]]:
    return studying
