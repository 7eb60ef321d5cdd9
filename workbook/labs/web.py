"""HTTP for lessons and checks: the tracker as a site, any other application as one, and many requests at once.

site = web.tracker()                                  the tracker, with empty tables in a folder of its own
site.ask("POST /experiments", {"name": "digits"})     an answer, which a notebook shows as text
site.lines()                                          what it has logged: a dictionary for each line
with web.Site(app) as site: ...                       any application, for as long as the block
web.at_once(call, call)                               what each returns, all begun at the same moment
"""

from __future__ import annotations

import http.client
import io
import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy import text

from tracker.server.api import router as trackers
from tracker.server.app import create_app
from tracker.server.config import Settings
from tracker.server.db import Database, sqlite
from tracker.server.observe import JsonLines
from tracker.server.schema import Base

from .site import PATIENCE, Answer, Site

__all__ = ["Answer", "Site", "Tracker", "at_once", "tracker"]

STALLED_SECONDS = 2.0  # after which a question that needs no thread counts as not answered
LOG = "tracker.server"
Result = TypeVar("Result")


class Tracker(Site):
    """The tracker, on SQLite; it asks nobody for a key."""

    def __init__(self, route: APIRoute | None = None, **settings: Any) -> None:
        self._written = io.StringIO()
        self._undo = ExitStack()  # whatever was begun when something goes wrong, or a check's time is up
        try:
            self._folder = Path(self._undo.enter_context(tempfile.TemporaryDirectory(prefix="workbook-site-")))
            self._database = Database(sqlite(self._folder / "tracker.db"))
            self._undo.callback(self._database.close)
            Base.metadata.create_all(self._database.engine)
            self._undo.enter_context(_logged(self._written))
            app = create_app(Settings(self._folder, **settings), self._database)
            if route:
                alone = APIRouter()
                alone.routes.append(route)
                app.include_router(alone)
                app.router.routes.insert(0, app.router.routes.pop())  # the first that fits answers
            super().__init__(app)
        except BaseException:
            self._undo.close()
            raise

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far. The line of a request is written a moment after its answer has left."""
        time.sleep(0.1)
        return [json.loads(line) for line in self._written.getvalue().splitlines()]

    def stalls_for(self, request: str, body: Any = None) -> bool:
        """Whether nobody is answered while this request waits until somebody else has written."""
        waiting = threading.Thread(target=self.ask, args=(request, body), daemon=True)
        with self._database.writing:
            waiting.start()
            stalled = not all(self._is_quick() for _ in range(20))
        waiting.join(PATIENCE)
        return stalled

    def _is_quick(self) -> bool:
        time.sleep(0.01)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STALLED_SECONDS)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == HTTPStatus.OK
        except TimeoutError:
            return False
        finally:
            connection.close()

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Asks or changes its tables behind its back; the rows, if there are any."""
        with self._database.write() as session:
            found = session.execute(text(statement))
            return [dict(row) for row in found.mappings()] if found.returns_rows else []  # type: ignore[attr-defined]

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """Meanwhile, it looks for its tables in a folder that is not there."""
        elsewhere = Database(sqlite(self._folder / "gone" / "tracker.db"))
        self.app.state.database = elsewhere
        try:
            yield
        finally:
            self.app.state.database = self._database
            elsewhere.close()

    def close(self) -> None:
        super().close()
        self._undo.close()


@contextmanager
def _logged(into: io.StringIO) -> Iterator[None]:
    """What the tracker logs meanwhile goes there, and nowhere else."""
    log, handler = logging.getLogger(LOG), logging.StreamHandler(into)
    handler.setFormatter(JsonLines())
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield
    log.removeHandler(handler)
    log.level, log.propagate = before


def tracker(router: APIRouter | None = None, function: Callable[..., Any] | None = None, **settings: Any) -> Tracker:
    """The tracker; with a function, its route in `router` is in the place of the tracker's own.

    Raises AssertionError for a function that is no route.
    """
    return Tracker(_newest(router, function) if router and function else None, **settings)


def at_once(*calls: Callable[[], Result]) -> list[Result]:
    """What each returns, all of them begun at the same moment, each in a thread. Raises what one of them raises."""
    found: dict[int, Result] = {}
    failed: list[BaseException] = []
    ready = threading.Barrier(len(calls))

    def run(number: int) -> None:
        ready.wait()
        try:
            found[number] = calls[number]()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return [found[number] for number in range(len(calls))]


def _newest(router: APIRouter, function: Callable[..., Any]) -> APIRoute:
    """The route that calls the function; a cell that was run twice has made two."""
    routes = [route for route in router.routes if isinstance(route, APIRoute) and route.endpoint is function]
    assert routes, "nobody calls this function: a route begins with @router.post(...) or the like"
    newest, known = routes[-1], [route for route in trackers.routes if isinstance(route, APIRoute)]
    assert any((route.path, route.methods) == (newest.path, newest.methods) for route in known), (
        f"the tracker has no {' '.join(sorted(newest.methods or ()))} {newest.path}, in whose place it could answer"
    )
    return newest
