"""Replicas of a server on one database, viewers of its live events, and a server that asks for keys: all real."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tracker.scope import Scope
from tracker.server.app import create_app
from tracker.server.auth import hash_of, new_key
from tracker.server.config import Settings
from tracker.server.db import Database
from tracker.server.store import keys
from workbook.labs.valkey import Valkey


@dataclass
class Replica:
    """One server of perhaps several, in a thread of this process."""

    url: str
    app: FastAPI
    http: httpx.Client

    def new_run(self, name: str = "e") -> int:
        """The id of a new run, in an experiment that is made where there is none."""
        self.http.post("/experiments", json={"name": name})
        experiment = self.http.get("/experiments", params={"name": name}).json()["items"][0]["id"]
        run: int = self.http.post(f"/experiments/{experiment}/runs", json={}).json()["id"]
        return run

    def log(self, run: int, step: int = 0, **values: float) -> None:
        """Stores a value of each key, which may be any name that Python takes."""
        points = [{"key": key, "value": value, "step": step} for key, value in values.items()]
        assert self.http.post(f"/runs/{run}/metrics", json={"points": points}).status_code == 201


@contextmanager
def running(settings: Settings, database: Database) -> Iterator[Replica]:
    app = create_app(settings, database)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_keep_alive=75))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=60) as http:
            yield Replica(url, app, http)
    finally:
        app.state.live.close()
        server.should_exit = True
        thread.join()


@pytest.fixture
def replica(database: Database, tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    """Starts another server on the test's database, with these settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(Settings(tmp_path / "replica", **settings), database))


@pytest.fixture
def valkey(valkey_server: Valkey, valkey_url: str) -> Valkey:
    """An empty server that speaks Redis, for a test that kills it, perhaps."""
    return valkey_server


class Viewer:
    """Somebody who watches a run, in a thread of their own. Begins when the stream has begun, or was refused."""

    def __init__(self, url: str, run: int, last_event_id: int | None = None) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        self._connection.request("GET", f"/runs/{run}/events", headers=headers)
        self._socket: socket.socket = self._connection.sock
        self.response = self._connection.getresponse()
        self.events: list[tuple[str, Any]] = []
        self.keys: dict[str, int] = {}  # the newest version that was heard of each
        self.comments = 0
        self.last_id: int | None = None
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        event: dict[str, str] = {}
        with suppress(OSError, http.client.HTTPException, ValueError):
            while line := self.response.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "":
                    self.comments += bool(value)
                    self._take(event)
                    event = {}
                else:
                    event[name] = value
        self.ended.set()

    def _take(self, event: dict[str, str]) -> None:
        if "event" in event:
            data = json.loads(event["data"])
            self.keys |= data.get("keys", {})
            self.last_id = int(event["id"]) if "id" in event else self.last_id
            self.events.append((event["event"], data))

    @property
    def statuses(self) -> list[str]:
        """The run's status, each time it was told."""
        return [data["status"] for event, data in list(self.events) if event == "run"]

    def close(self) -> None:
        """Leaves."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.response.close()
        self._connection.close()
        self._socket.close()


@pytest.fixture
def watch() -> Iterator[Callable[..., Viewer]]:
    """Opens a stream of events; all are closed in the end."""
    viewers: list[Viewer] = []

    def open_(url: str, run: int, last_event_id: int | None = None) -> Viewer:
        viewers.append(Viewer(url, run, last_event_id))
        return viewers[-1]

    yield open_
    for viewer in viewers:
        viewer.close()


@dataclass
class Guarded:
    """A server that asks for keys; `keys` has one for each of these names."""

    server: Any
    keys: dict[str, str]

    def make(self, owner: str, scope: Scope) -> tuple[int, str]:
        """Another key, and its id."""
        database: Database = self.server.app.state.database
        key = new_key()
        with database.write() as session:
            made = keys.create_key(session, name="test", owner=owner, scope=scope, key_hash=hash_of(key), at=0)
        return made.id, key

    def client(self, key: str = "", **headers: str) -> httpx.Client:
        """Who sends this key with each request."""
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.server.url, headers=sent | headers)

    def revoke(self, key_id: int) -> None:
        """At once, as far as this server is concerned."""
        with self.server.app.state.database.write() as session:
            keys.revoke_key(session, key_id, at=1)
        self.server.app.state.gate.forget()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, answering: Callable[[Settings], AbstractContextManager[Any]]
) -> Iterator[Guarded]:
    with answering(Settings(tmp_path_factory.mktemp("guarded"), auth="required")) as server:
        guarded = Guarded(server, {})
        for name, scope in (("reader", Scope.READ), ("ann", Scope.WRITE), ("bob", Scope.WRITE), ("root", Scope.ADMIN)):
            guarded.keys[name] = guarded.make("ann" if name == "reader" else name, scope)[1]
        revoked, guarded.keys["revoked"] = guarded.make("ann", Scope.ADMIN)
        guarded.revoke(revoked)
        yield guarded


@pytest.fixture
def ann(guarded: Guarded) -> Iterator[httpx.Client]:
    with guarded.client(guarded.keys["ann"]) as client:
        yield client


@pytest.fixture
def bob(guarded: Guarded) -> Iterator[httpx.Client]:
    with guarded.client(guarded.keys["bob"]) as client:
        yield client


@pytest.fixture
def root(guarded: Guarded) -> Iterator[httpx.Client]:
    with guarded.client(guarded.keys["root"]) as client:
        yield client
