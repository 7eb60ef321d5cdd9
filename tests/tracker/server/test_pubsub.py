"""Messages between replicas: never needed, never waited for, and there again when Redis is."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import redis

from tracker.server import live, pubsub
from tracker.server.pubsub import PubSub
from workbook.labs.valkey import Valkey

WaitUntil = Callable[..., None]


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'tracker-workbook\\[redis\\]'"):
        PubSub("redis://127.0.0.1:1", print)


def test_what_is_said_before_the_start_or_after_the_end_goes_nowhere() -> None:
    async def live_shortly() -> PubSub:
        messages = PubSub("redis://127.0.0.1:1", print)
        messages.publish(1)
        await messages.start()
        messages.publish(2)
        await messages.stop()
        messages.publish(3)
        return messages

    asyncio.run(live_shortly()).publish(4)


def test_what_cannot_be_sent_is_dropped_where_it_becomes_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub, "AT_MOST", 10)

    messages = PubSub("redis://127.0.0.1:1", print)
    for run_id in range(100):
        messages._put(run_id)
    assert messages._unsent == set(range(10))


class TestReplicas:
    @pytest.fixture
    def _never_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Viewers look when they are told to, and so only what is said can be seen."""
        monkeypatch.setattr(live, "POLL", 1000.0)

    @pytest.mark.usefixtures("_never_by_itself")
    def test_what_one_stores_the_viewers_of_all_see_at_once(
        self, replica: Any, valkey: Valkey, watch: Any, wait_until: WaitUntil
    ) -> None:
        one, other = (replica(redis_url=valkey.url) for _ in range(2))
        run = one.new_run()
        viewers = [watch(replica_.url, run) for replica_ in (one, other)]
        listening(valkey, 2, wait_until)
        for step, replica_ in enumerate([one, other, one, other]):
            replica_.log(run, step=step, loss=1.0)
            wait_until(lambda step=step: all(viewer.keys == {"loss": step + 1} for viewer in viewers))
        one.http.post(f"/runs/{run}/rewind", json={"step": 0, "at": 2**50})
        wait_until(lambda: all(viewer.keys == {"loss": 5} for viewer in viewers))
        one.http.patch(f"/runs/{run}", json={"status": "finished"})
        wait_until(lambda: all(viewer.statuses == ["running", "finished"] for viewer in viewers))
        other.http.delete(f"/runs/{run}")
        wait_until(lambda: all(viewer.ended.is_set() for viewer in viewers))

    def test_without_redis_viewers_see_everything_and_later_at_once_again(
        self, replica: Any, valkey: Valkey, watch: Any, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pubsub, "PAUSE", 0.05)
        one, other = (replica(redis_url=valkey.url) for _ in range(2))
        run = one.new_run()
        viewer = watch(other.url, run)
        valkey.kill()
        one.log(run, loss=1.0)
        wait_until(lambda: viewer.keys == {"loss": 1})
        valkey.restart()
        listening(valkey, 2, wait_until)
        monkeypatch.setattr(live, "POLL", 1000.0)
        for _ in range(2):  # the first may have been seen by a look that was due anyway
            wait_until(lambda: seen_at_once(one, run, viewer))

    def test_a_redis_that_says_nothing_is_asked_and_then_given_up(
        self,
        valkey: Valkey,
        wait_until: WaitUntil,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG, "tracker.server")
        monkeypatch.setattr(pubsub, "SILENCE", 0.05)
        heard: list[int] = []
        with started(PubSub(valkey.url, heard.append)) as messages:
            listening(valkey, 1, wait_until)
            with closing(redis.Redis.from_url(valkey.url)) as client:
                known = client.client_list(_type="pubsub")[0]["id"]
                monkeypatch.setattr(pubsub, "PATIENCE", 0.05)
                monkeypatch.setattr(pubsub, "PAUSE", 0.05)
                valkey.pause()
                wait_until(lambda: "Redis is silent" in caplog.text)
                valkey.resume()
                monkeypatch.setattr(pubsub, "PATIENCE", 20.0)
                wait_until(lambda: [c["id"] for c in client.client_list(_type="pubsub")] not in ([], [known]))
            wait_until(lambda: messages.publish(7) or 7 in heard)

    def test_a_message_that_is_none_of_ours_is_not_heard(self, valkey: Valkey, wait_until: WaitUntil) -> None:
        heard: list[int] = []
        with started(PubSub(valkey.url, heard.append)), closing(redis.Redis.from_url(valkey.url)) as client:
            listening(valkey, 1, wait_until)
            for channel in ("tracker:run:", "tracker:run:x", b"tracker:run:\xff", "tracker:run:-1", "tracker:run:5"):
                client.publish(channel, b"\xff")
            wait_until(lambda: heard == [5])

    def test_what_happens_to_a_run_meanwhile_is_one_message(
        self, valkey: Valkey, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pubsub, "GAP", 0.5)
        heard: list[int] = []
        with started(PubSub(valkey.url, heard.append)) as messages:
            listening(valkey, 1, wait_until)
            for _ in range(1000):
                messages.publish(1)
            messages.publish(2)
            wait_until(lambda: 2 in heard)
        assert heard.count(1) <= 5


def listening(valkey: Valkey, replicas: int, wait_until: WaitUntil) -> None:
    """Returns when so many listen."""
    with closing(redis.Redis.from_url(valkey.url)) as client:
        wait_until(lambda: len(client.client_list(_type="pubsub")) == replicas)


def seen_at_once(replica: Any, run: int, viewer: Any) -> bool:
    """Whether the viewer soon hears of a point."""
    replica.log(run, loss=1.0)
    replica.log(run, loss=1.0)
    newest = replica.http.get(f"/runs/{run}/metrics/loss").json()["version"]
    threading.Event().wait(0.3)
    return bool(viewer.keys == {"loss": newest})


class started:  # read as a word: with started(...)
    """The messages, in an event loop of their own."""

    def __init__(self, messages: PubSub) -> None:
        self._messages = messages
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> PubSub:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._messages.start(), self._loop).result()
        return self._messages

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._messages.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
