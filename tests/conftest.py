"""Private servers for the tests: real ones, on a free port of 127.0.0.1, each in a folder of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from tracker.server.app import create_app
from tracker.server.config import Settings
from tracker.server.db import Database


@dataclass
class Server:
    """A tracker that answers at `url`."""

    url: str
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    database = Database(folder / "tracker.db")
    database.migrate()
    config = uvicorn.Config(create_app(Settings(folder), database), port=0, log_level="critical")
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run)
    thread.start()
    wait_until(lambda: uvicorn_server.started or not thread.is_alive())
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    yield Server(f"http://127.0.0.1:{port}", folder)
    uvicorn_server.should_exit = True
    thread.join()
    database.close()


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
