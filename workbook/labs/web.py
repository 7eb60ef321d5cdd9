"""An application that answers over HTTP, on a free port of 127.0.0.1, in a thread of this process.

    site = web.tracker()                               the tracker, with empty tables in a folder of its own
    site.ask("POST /experiments", {"name": "digits"})  an `Answer`, which a notebook shows as text
    site.lines()                                       what it has logged: a dictionary for each line
    with web.Site(app) as site: ...                    any application, for as long as the block

In a notebook a site ends with the kernel, or with `site.close()`. A route that never ends is ended with it.
"""

from __future__ import annotations

import ctypes
import http.client
import io
import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.types import Message, Receive, Scope, Send

from tracker.server.api import router as trackers
from tracker.server.app import create_app
from tracker.server.config import Settings
from tracker.server.db import Database, sqlite
from tracker.server.observe import HEADER, JsonLines
from tracker.server.schema import Base

SHOWN = ("Location", "Retry-After", "Allow", "Content-Type")  # of an answer's headers, those that a reader looks at
RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}  # since RFC 9110; Python knows it from 3.13 on
START_SECONDS = 20.0
END_SECONDS = 2.0  # that a site has to end by itself
HURRIED_SECONDS = 0.01  # the same, when a check's time is up
STALLED_SECONDS = 2.0  # after which a question that needs no thread counts as not answered
PATIENCE = 60.0  # seconds for one answer: whoever is in a hurry ends the cell
LOG = "tracker.server"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """What came back. `headers` are by their names as one writes them: Location."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body. Raises ValueError where it is none."""
        return json.loads(self.text)

    def __repr__(self) -> str:
        head = [f"{self.status} {RENAMED.get(self.status) or HTTPStatus(self.status).phrase}"]
        head += [f"{name}: {self.headers[name]}" for name in (*SHOWN, HEADER) if name in self.headers]
        try:
            body = json.dumps(self.json, indent=2, ensure_ascii=False)
        except ValueError:
            body = self.text
        return "\n".join([*head, body]).rstrip()


class _Server(uvicorn.Server):
    """Ends with the main thread: Python waits for threads that a route may have left."""

    async def on_tick(self, counter: int) -> bool:
        return not threading.main_thread().is_alive() or await super().on_tick(counter)


class Site:
    """Answers from the moment it is made."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.fault = ""  # the last exception that a route raised and nobody handled, as "KeyError: 'name'"
        self._unwritten = False
        self._patience = END_SECONDS
        self._others = set(threading.enumerate())
        config = uvicorn.Config(
            self._watched, interface="asgi3", port=0, log_config=None, log_level="critical", access_log=False
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="site", daemon=True)
        try:
            self._thread.start()
            deadline = time.monotonic() + START_SECONDS
            while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.002)
            self.port: int = self._server.servers[0].sockets[0].getsockname()[1]
        except BaseException as error:
            self.__exit__(type(error))
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):  # whoever raised that is in a hurry
            self._patience = HURRIED_SECONDS
        self.close()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __repr__(self) -> str:
        return f"{self.app.title}, answering at {self.url}"

    def ask(self, request: str, body: Any = None, **headers: str) -> Answer:
        """Sends "METHOD /path", with a body as JSON (or bytes as they are), and waits. X_Request_ID: X-Request-ID.

        Raises NotImplementedError where the route does: it is a stub.
        """
        method, _, path = request.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            said = response.read().decode()
        finally:
            connection.close()
        if response.status == 500 and self._unwritten:
            raise NotImplementedError
        found = {name.title() if name != HEADER.lower() else HEADER: value for name, value in response.getheaders()}
        if HEADER.lower() not in map(str.lower, sent):
            found.pop(HEADER, None)  # by chance, so that no two of them are alike
        return Answer(response.status, found, said)

    def seconds(self, request: str, after: float = 0.0) -> float:
        """How long its answer takes; it is sent `after` so many."""
        time.sleep(after)
        begun = time.perf_counter()
        self.ask(request)
        return time.perf_counter() - begun

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application; a 500 leaves when it is known what was raised."""
        held: list[Message] = []

        async def sending(message: Message) -> None:
            if held or message.get("status") == 500:
                held.append(message)
            else:
                await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            self.fault, self._unwritten = f"{type(error).__name__}: {error}", isinstance(error, NotImplementedError)
            raise
        finally:
            for message in held:
                await send(message)

    def close(self) -> None:
        """Ends it, and whatever it still does."""
        self._server.should_exit = True
        for stuck in ("AnyIO", "site"):  # a plain function in a thread of its own; an async one on the loop
            if self._thread.ident is None:
                return
            self._thread.join(self._patience)
            for thread in set(threading.enumerate()) - self._others if self._thread.is_alive() else ():
                if thread.name.startswith(stuck):
                    _end(thread)
        self._thread.join(self._patience)

    def _run(self) -> None:
        with suppress(SystemExit):
            self._server.run()


class Tracker(Site):
    """The tracker, on SQLite; it asks nobody for a key."""

    def __init__(self, route: APIRoute | None = None, **settings: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="workbook-site-")
        folder = Path(self._folder.name)
        self._database = Database(sqlite(folder / "tracker.db"))
        Base.metadata.create_all(self._database.engine)
        self._written = io.StringIO()
        self._handler = logging.StreamHandler(self._written)
        self._handler.setFormatter(JsonLines())
        log = logging.getLogger(LOG)
        self._before = log.level, log.propagate
        log.addHandler(self._handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        app = create_app(Settings(folder, **settings), self._database)
        if route:
            alone = APIRouter()
            alone.routes.append(route)
            app.include_router(alone)
            app.router.routes.insert(0, app.router.routes.pop())  # the first that fits answers
        super().__init__(app)

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
        elsewhere = Database(sqlite(Path(self._folder.name) / "gone" / "tracker.db"))
        self.app.state.database = elsewhere
        try:
            yield
        finally:
            self.app.state.database = self._database
            elsewhere.close()

    def close(self) -> None:
        super().close()
        log = logging.getLogger(LOG)
        log.removeHandler(self._handler)
        log.level, log.propagate = self._before
        self._database.close()
        self._folder.cleanup()


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


def _end(thread: threading.Thread) -> None:
    """Raises SystemExit in a thread, at the next line of Python that it runs."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
