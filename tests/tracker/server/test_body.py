"""What a request may send, and how slowly; over real connections."""

import asyncio
import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tracker.server import body


def trickle(connection: socket.socket) -> None:
    """A body of which there is always more, but not for longer than a test may take."""
    with suppress(OSError):  # the server does not want the rest
        for _ in range(1000):
            connection.sendall(b" ")
            time.sleep(0.01)


def test_a_body_that_comes_too_slowly_is_refused_and_the_connection_closed(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.3)
    head = "POST /experiments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0), timeout=20) as connection:
        connection.sendall(head.encode())
        sender = threading.Thread(target=trickle, args=(connection,))
        sender.start()
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                answer += part
        sender.join()
    start, _, said = answer.partition(b"\r\n\r\n")
    assert start.startswith(b"HTTP/1.1 408")
    assert b"content-type: application/problem+json" in start.lower()
    assert json.loads(said)["detail"] == "a request has 0.3 seconds to send its body: send it in parts"


@pytest.mark.parametrize(("kind", "pauses"), [("http", [0, 0.2]), ("lifespan", [0.2, 0.2])])
def test_who_waits_for_something_else_than_a_body_may_wait(
    monkeypatch: pytest.MonkeyPatch, kind: str, pauses: list[float]
) -> None:
    """For the client to leave, after the body: whoever sends a long answer does. Or for the end of the server."""
    monkeypatch.setattr(body, "SECONDS", 0.05)
    messages = iter(pauses)

    async def receive() -> dict[str, str]:
        await asyncio.sleep(next(messages))
        return {"type": kind}

    async def inner(scope: Any, limited: Any, send: Any) -> None:
        assert [await limited() for _ in pauses] == [{"type": kind}] * 2

    asyncio.run(body.Limits(inner)({"type": kind}, receive, lambda message: asyncio.sleep(0)))
