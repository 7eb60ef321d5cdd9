"""Live events: who watches a run is told which of its curves have changed, and then reads those again.

    event: metrics     id: 17     data: {"keys": {"loss": 17, "acc": 16}}     these curves have these versions now
    event: run                    data: {"status": "finished"}                when it changes, and first of all
    event: gone                   data: {}                                    the run was deleted; nothing follows

The id is the run's version (`store.changes`). A client that connects again with it as Last-Event-ID is told all that
changed since; one without it, the versions of all curves. An event says what is new and not what it is, so it
does no harm to be told twice, or once for ten changes.

One task of the process looks for all watched runs at once, every POLL seconds and in one statement, as long as anybody
watches: the database is the only truth, and a thousand viewers of a run cost it no more than one. Whoever knows of a
change earlier calls `look`. What a client is too slow to take waits as a *set* of curves and not as a queue of
events, so it never holds more than the run has curves.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from . import store
from .db import Database
from .problem import NotFound, TooManyStreams
from .store.changes import Change

POLL = 0.5  # s between two looks
GAP = 0.05  # s that lie at least between two looks, however often somebody knows of a change
KEEP_ALIVE = 15.0  # s of silence after which a comment is sent: proxies close what says nothing for a minute
BUSY = "this server has as many streams of events open as it may (TRACKER_STREAMS), or it ends: try again later"
log = logging.getLogger("tracker.server")


class Watch:
    """One open stream: what it has been told, and what waits to be told."""

    def __init__(self, live: Live, run_id: int, since: int) -> None:
        self.run_id = run_id
        self.seen = 0  # the run's version, as far as we have looked
        self.found: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the run, at the first look
        self._live = live
        self._since = since
        self._status = ""
        self._untold: dict[str, Any] = {}  # event -> data
        self._news = asyncio.Event()

    def take(self, change: Change | None) -> None:
        """What the newest look found of the run; None: it does not exist."""
        if self.found.done():
            self._note(change)
        elif change is None:
            self.found.set_exception(NotFound(f"there is no run {self.run_id}"))
        else:
            newest = max(change.keys.values(), default=0)
            # An id that is none of this run's: of another database, say. Then all of it is new.
            since = self._since if self._since <= newest else 0
            self._untold["run"] = {"status": change.status}
            if not since or since < newest:
                keys = {key: version for key, version in change.keys.items() if version > since}
                self._untold["metrics"] = {"keys": keys}
            self.seen, self._status = newest, change.status
            self._news.set()
            self.found.set_result(None)

    def _note(self, change: Change | None) -> None:
        if change is None:
            self._untold["gone"] = {}
        else:
            newer = {key: version for key, version in change.keys.items() if version > self.seen}
            if newer:
                self._untold.setdefault("metrics", {"keys": {}})["keys"].update(newer)
                self.seen = max(newer.values())
            if change.status != self._status:
                self._status = change.status
                self._untold["run"] = {"status": change.status}
        if self._untold:
            self._news.set()

    async def events(self) -> AsyncIterator[bytes]:
        """What there is to tell, as it comes, until the run is gone or the server ends."""
        while not self._live.closed:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await self._news.wait()
            except TimeoutError:
                yield KEEPALIVE_COMMENT
                continue
            self._news.clear()
            untold, self._untold = self._untold, {}
            version = str(self.seen)  # not later: while we send, there may be a newer one, whose curves are not in here
            for event, data in untold.items():
                number = version if event == "metrics" else None
                yield format_sse_event(event=event, data_str=json.dumps(data), id=number)
            if "gone" in untold:
                return

    def end(self) -> None:
        """Has the stream see that the server ends."""
        if not self.found.done():
            self.found.set_exception(TooManyStreams(BUSY))
        self._news.set()

    def close(self) -> None:
        """Nobody watches here any more."""
        self._live.leave(self)


class Stream(EventSourceResponse):
    """The answer that tells what a watch is told. However it ends, the watch ends with it."""

    def __init__(self, watch: Watch) -> None:
        # The second header is for nginx, which would otherwise hold the events back until it has a page of them.
        super().__init__(watch.events(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watch.close()


class Live:
    """Everybody who watches. Belongs to one event loop."""

    def __init__(self, database: Database, at_most: int) -> None:
        self.closed = False
        self._database = database
        self._at_most = at_most
        self._watches: dict[int, set[Watch]] = {}  # by run
        self._open = 0
        self._wanted = asyncio.Event()  # a look, now
        self._task: asyncio.Task[None] | None = None

    async def watch(self, run_id: int, since: int = 0) -> Watch:
        """A watch on the run, which must be closed; it begins with what changed since that version (0: with all).

        Raises TooManyStreams, NotFound, and what the database raises.
        """
        if self.closed or self._open >= self._at_most:
            raise TooManyStreams(BUSY)
        watch = Watch(self, run_id, since)
        self._watches.setdefault(run_id, set()).add(watch)
        self._open += 1
        self._wanted.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_on())
        try:
            await watch.found
        except BaseException:
            watch.close()
            raise
        return watch

    def look(self, run_id: int) -> None:
        """Somebody knows that this run has changed: there is no need to wait for the next look."""
        if run_id in self._watches:
            self._wanted.set()

    def leave(self, watch: Watch) -> None:
        """The watch is over."""
        here = self._watches.get(watch.run_id, set())
        if watch in here:
            here.remove(watch)
            self._open -= 1
            if not here:
                del self._watches[watch.run_id]

    def close(self) -> None:
        """Ends every stream, and lets nobody open another."""
        self.closed = True
        for watch in self._everybody():
            watch.end()
        self._wanted.set()

    async def _look_on(self) -> None:
        while self._watches and not self.closed:
            self._wanted.clear()
            seen = {run_id: min(watch.seen for watch in here) for run_id, here in self._watches.items()}
            asked = self._everybody()
            try:
                changes = await asyncio.to_thread(self._look, seen)
            except Exception as error:  # whatever it is, those who watch wait for the next look, and the others know
                log.warning("live events wait for the database: %s", error)
                for watch in asked:
                    if not watch.found.done():
                        watch.found.set_exception(error)
            else:
                for watch in asked:
                    watch.take(changes.get(watch.run_id))
            await asyncio.sleep(GAP)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL - GAP):
                    await self._wanted.wait()

    def _look(self, seen: Mapping[int, int]) -> dict[int, Change]:
        with self._database.read() as session:
            return store.changes.read_changes(session, seen)

    def _everybody(self) -> list[Watch]:
        return [watch for here in self._watches.values() for watch in here]
