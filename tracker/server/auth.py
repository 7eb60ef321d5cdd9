"""Who asks, and whether they may.

    Authorization: Bearer trk_4f0c...       a key: 256 random bits, of which the database has only the SHA-256
    Cookie: tracker_1c9a2b3d=...            a browser that has shown a key (`session`)

A slow hash, as passwords need it, would be wasted on a key: nobody guesses 256 bits, and each batch of points would
wait for it. A key has an **owner**, to whom all belongs that is made with it, and a **scope**. What is somebody else's
is answered as what is not there: 404. An admin sees all. Where no keys are needed (`Settings.keys_needed`), whoever
asks may do everything, and all that they make belongs to the owner "".

`allowed` is asked before every route. It looks at each id that a request can name (IDS), so that a route cannot forget
to; a test walks through all routes and tries.

Keys and owners are remembered for LIFE seconds, so that a batch of points costs no query. So a revoked key is refused
LIFE seconds later at the latest. Only while the database does not answer do they count for longer: with a queue before
it, points are accepted meanwhile, and nobody can revoke a key either.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import BackgroundTasks, Depends, Request
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool

from tracker.scope import Scope
from tracker.values import MAX_COMPARED, now_ms

from . import store
from .config import Settings
from .db import Database
from .digits import AnId
from .problem import Forbidden, NotFound, Unauthorized
from .session import Sessions, is_own_page

PREFIX = "trk_"  # by which people, and programs that look for leaked secrets, know what it is
LIFE = 5.0  # s
REMEMBERED = 10_000  # keys, and runs
USED_EVERY = 60_000  # ms between two notes of when a key was used last
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/", "/healthz", "/readyz", "/session")  # the last one asks for a key itself
MOST_NAMED = 2 * MAX_COMPARED  # each may cost a query
IDS = {"experiment_id": "experiment", "run_id": "run", "run": "run"}  # in a path or in a query
MISSING = "this tracker needs a key: send it as Authorization: Bearer trk_...; `tracker key create` makes one"
NONE_NEEDED = "this tracker asks nobody for a key; one that does is started with TRACKER_AUTH=required"
WRONG = "this is no key of this tracker, or it was revoked: ask who runs the tracker for another"

log = logging.getLogger("tracker.server.auth")
_number = TypeAdapter(AnId).validate_python  # as the routes read an id
Key = TypeVar("Key")
Known = TypeVar("Known")


@dataclass(frozen=True)
class Caller:
    """Who asks: a key, or (`key_id` None) anybody, where no keys are needed."""

    key_id: int | None
    owner: str
    scope: Scope
    last_used_at: int | None = None  # ms

    @property
    def sees(self) -> str | None:
        """The owner whose things they see; None: everybody's."""
        return None if self.scope == Scope.ADMIN else self.owner


ANYBODY = Caller(None, "", Scope.ADMIN)


class _Memory(Generic[Key, Known]):
    """What the database said, for LIFE seconds; what it does not know is not remembered. For the event loop alone."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, tuple[float, Known]] = OrderedDict()

    async def get(self, key: Key, load: Callable[[], Known | None]) -> Known | None:
        until, known = self._known.get(key, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        try:
            found = await run_in_threadpool(load)
        except (DBAPIError, PoolTimeout):
            if known is None:
                raise
            found = known  # and not asked again with every request of a database that is away
        self._known.pop(key, None)
        if found is not None:
            self._known[key] = time.monotonic() + LIFE, found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found


class Gate:
    """Knows the callers of one application, and what is whose."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """Raises OSError where the secret of the sessions cannot be kept."""
        self.needs_keys = settings.keys_needed
        self.sessions = Sessions.of(settings) if self.needs_keys else Sessions(secrets.token_bytes(32))
        self._database = database
        self._callers: _Memory[str | int, Caller] = _Memory()
        self._owners: _Memory[tuple[str, int], str] = _Memory()

    async def caller(self, request: Request) -> Caller:
        """Who asks. Raises Unauthorized, and Forbidden for a foreign page that uses a browser's cookie."""
        if not self.needs_keys:
            return ANYBODY
        sent = request.headers.getlist("Authorization")
        if sent:
            scheme, _, key = sent[0].partition(" ")
            if len(sent) > 1 or scheme.lower() != "bearer":
                raise Unauthorized(MISSING)
            return await self.of_key(key.strip())
        cookie = request.cookies.get(self.sessions.cookie)
        if not cookie:
            raise Unauthorized(MISSING)
        key_id = self.sessions.key_id(cookie)
        caller = None if key_id is None else await self._known(key_id)
        if caller is None:
            raise Unauthorized("this browser is not signed in any more: sign in again at /ui/")
        if request.method not in SAFE and not is_own_page(request.headers):
            raise Forbidden("a page of another server may change nothing here: send a key instead of the cookie")
        return caller

    async def of_key(self, key: str) -> Caller:
        """Whose key this is. Raises Unauthorized."""
        caller = await self._known(hash_of(key))
        if caller is None:
            raise Unauthorized(WRONG)
        return caller

    def forget(self) -> None:
        """Keys have changed: each is looked up again."""
        self._callers = _Memory()

    async def _known(self, key: str | int) -> Caller | None:
        """Whose key has this hash, or this id."""
        return await self._callers.get(key, lambda: self._load(key))

    async def owner(self, kind: str, number: int) -> str | None:
        """Whose this experiment or run is; None: there is none."""
        return await self._owners.get((kind, number), lambda: self._load_owner(kind, number))

    def used(self, caller: Caller, background: BackgroundTasks) -> None:
        """Keeps when the key was used, once a minute, after the answer."""
        if caller.key_id is not None and now_ms() - (caller.last_used_at or 0) > USED_EVERY:
            background.add_task(self._touch, caller.key_id)

    def _touch(self, key_id: int) -> None:
        try:
            with self._database.write() as session:
                store.keys.touch_key(session, key_id, now_ms())
        except (DBAPIError, PoolTimeout) as error:  # the request was answered, and the next one tries again
            log.warning("it was not kept when key %s was used: %s", key_id, getattr(error, "orig", error))

    def _load(self, key: str | int) -> Caller | None:
        with self._database.read() as session:
            row = store.keys.find_key(session, key)
            return None if row is None else Caller(row.id, row.owner, Scope(row.scope), row.last_used_at)

    def _load_owner(self, kind: str, number: int) -> str | None:
        with self._database.read() as session:
            if kind == "run":
                return store.keys.run_owners(session, [number]).get(number)
            return store.keys.experiment_owner(session, number)


async def allowed(request: Request, background: BackgroundTasks) -> Caller:
    """Who asks, if they may: with a key whose scope covers the method, and only what is theirs.

    Raises Unauthorized, Forbidden and NotFound.
    """
    gate: Gate = request.app.state.gate
    if request.scope["route"].path in OPEN:
        return ANYBODY
    caller = request.state.caller = await gate.caller(request)
    gate.used(caller, background)
    needs(caller, Scope.READ if request.method in SAFE else Scope.WRITE)
    if caller.sees is not None:
        for kind, number in named(request):
            if await gate.owner(kind, number) != caller.sees:
                raise NotFound(f"there is no {kind} {number}")
    return caller


Who = Annotated[Caller, Depends(allowed)]


async def _admin(caller: Who) -> Caller:
    if caller.key_id is None:
        raise Forbidden(NONE_NEEDED)
    needs(caller, Scope.ADMIN)
    return caller


Admin = Annotated[Caller, Depends(_admin)]


def needs(caller: Caller, scope: Scope) -> None:
    """Raises Forbidden for a caller who may not do what needs this scope."""
    if not caller.scope.covers(scope):
        raise Forbidden(f"this key may only {caller.scope}, and this needs a key that may {scope}")


def named(request: Request) -> list[tuple[str, int]]:
    """Each experiment and run that the request names. What is no number is left to be refused for that.

    Raises Forbidden for more of them than any route would answer.
    """
    given = [*request.path_params.items(), *request.query_params.multi_items()]
    found = []
    for name, text in given:
        if name in IDS:
            try:
                found.append((IDS[name], _number(text)))
            except ValidationError:
                continue
    if len(found) > MOST_NAMED:
        raise Forbidden(f"a request names at most {MOST_NAMED} experiments and runs")
    return found


def new_key() -> str:
    """A key that nobody has."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()
