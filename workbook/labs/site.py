"""A site: an application that answers over HTTP, on a free port of 127.0.0.1, in a thread of this process.

    with Site(app) as site:
        site.ask("POST /experiments", {"name": "digits"})     an `Answer`, which a notebook shows as text

In a notebook a site ends with the kernel, or with `site.close()`. A route that never ends is ended with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import http.client
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import uvicorn
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from tracker.server.observe import HEADER

SHOWN = ("Location", "Retry-After", "Allow", "Content-Type")  # of an answer's headers, those that a reader looks at
RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}  # since RFC 9110; Python knows it from 3.13 on
START_SECONDS = 20.0
TICK_SECONDS = 0.01
END_SECONDS = 2.0  # that a site has to end by itself
PATIENCE = 60.0  # seconds for one answer: whoever is in a hurry ends the cell


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

    async def main_loop(self) -> None:
        """As uvicorn's, which looks only every 0.1 s whether it should end: some checks start a dozen sites."""
        while not await self.on_tick(0):
            await asyncio.sleep(TICK_SECONDS)

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
            self._patience = 0.0
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
        if self._thread.ident is None:
            return
        for stuck in ("AnyIO", "site"):  # a plain function in a thread of its own; an async one on the loop
            self._thread.join(self._patience)
            if self._thread.is_alive():
                for thread in set(threading.enumerate()) - self._others:
                    if thread.name.startswith(stuck):
                        _end(thread)
        self._thread.join(self._patience)

    def _run(self) -> None:
        with suppress(SystemExit):
            self._server.run()


def _end(thread: threading.Thread) -> None:
    """Raises SystemExit in a thread, at the next line of Python that it runs."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
