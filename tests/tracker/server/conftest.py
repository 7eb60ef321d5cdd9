"""A server that asks for keys, and keys for it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tracker.scope import Scope
from tracker.server.auth import hash_of, new_key
from tracker.server.config import Settings
from tracker.server.db import Database
from tracker.server.store import keys


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
