"""A Redis that is away costs one request a moment, and the others nothing."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis

from tracker.server.remote import PAUSE, Away, Remote
from workbook.labs.valkey import Valkey


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def remote(valkey: Valkey, clock: Clock) -> Iterator[Remote]:
    with closing(Remote(valkey.url, clock)) as remote:
        yield remote


def ping(client: redis.Redis) -> Any:
    return client.ping()


def never(_: redis.Redis) -> None:
    raise AssertionError("it was asked")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ModuleNotFoundError, match="TRACKER_REDIS_URL needs the package redis: pip install"):
        Remote("redis://127.0.0.1:1")


def test_where_nobody_is_there_is_no_answer(clock: Clock) -> None:
    with closing(Remote("redis://127.0.0.1:1", clock)) as remote, pytest.raises(Away):
        remote.ask(ping)


class TestAway:
    def test_while_it_is_away_nobody_asks_before_the_pause_is_over(
        self, remote: Remote, valkey: Valkey, clock: Clock
    ) -> None:
        assert remote.ask(ping) is True
        valkey.kill()
        with pytest.raises(Away):
            remote.ask(ping)
        valkey.restart()
        clock.now = PAUSE - 0.001
        with pytest.raises(Away):
            remote.ask(never)
        clock.now = PAUSE
        assert remote.ask(ping) is True
        assert remote.ask(ping) is True

    def test_silence_is_not_waited_for(self, remote: Remote, valkey: Valkey) -> None:
        assert remote.ask(ping) is True
        valkey.pause()
        with pytest.raises(Away) as away:
            remote.ask(ping)
        assert isinstance(away.value.__cause__, redis.TimeoutError)

    def test_after_the_pause_one_finds_out_for_all(self, remote: Remote, valkey: Valkey, clock: Clock) -> None:
        valkey.kill()
        with pytest.raises(Away):
            remote.ask(ping)
        valkey.restart()
        clock.now = PAUSE
        asking, go_on = threading.Event(), threading.Event()

        def slowly(client: redis.Redis) -> Any:
            asking.set()
            assert go_on.wait(20)
            return client.ping()

        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(remote.ask(slowly)))
        thread.start()
        assert asking.wait(20)
        with pytest.raises(Away):
            remote.ask(never)
        go_on.set()
        thread.join()
        assert found == [True]
        assert remote.ask(ping) is True

    def test_what_it_refuses_counts_as_no_answer(self, remote: Remote) -> None:
        with pytest.raises(Away):
            remote.ask(lambda client: client.execute_command("NONSENSE"))

    def test_it_is_said_once_that_it_went_and_once_that_it_came(
        self, remote: Remote, valkey: Valkey, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "tracker.server"):
            valkey.kill()
            for _ in range(3):
                clock.now += PAUSE
                with pytest.raises(Away):
                    remote.ask(ping)
            valkey.restart()
            clock.now += PAUSE
            for _ in range(3):
                remote.ask(ping)
        went, came = [record.getMessage() for record in caplog.records]
        assert went.startswith("Redis is away (")
        assert came == "Redis is back"


def test_what_speaks_another_language_counts_as_no_answer(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with closing(Remote(f"redis://127.0.0.1:{listener.getsockname()[1]}", clock)) as remote, pytest.raises(Away):
            remote.ask(ping)
        thread.join()
