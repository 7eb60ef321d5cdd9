import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tracker.client import courier as courier_module
from tracker.client.courier import Courier
from tracker.client.http import Unanswered
from tracker.client.spool import Spool, Writer


@pytest.fixture
def run(writer: Writer) -> dict[str, Any]:
    """A run that has begun, in the spool."""
    described = {"experiment": f"e-{uuid.uuid4().hex[:8]}", "external_id": uuid.uuid4().hex, "attempt": "one"}
    writer.begin(json.dumps({"run": described, "at": 1, "v": 1}).encode() + b"\n")
    return described


@pytest.fixture
def courier(run: Any, spool: Spool, api: Any) -> Iterator[Courier]:
    courier = Courier(Spool(spool.file), api, lambda _: None)
    yield courier
    with suppress(OSError):  # the test has ended it already
        courier.finish(10)


def test_who_logs_nothing_says_that_it_lives(
    api: Any, courier: Courier, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setattr(courier_module, "HEARTBEAT", 0.05)
    monkeypatch.setattr(courier_module, "INTERVAL", 0.02)
    courier.start()
    wait_until(lambda: [body for _, _, body in api.asked].count({"points": []}) >= 2)
    assert courier.finish(10)


def test_it_waits_for_another_process_that_sends_its_spool(
    spool: Spool, api: Any, courier: Courier, wait_until: Callable[..., None]
) -> None:
    with spool.sending() as allowed:
        assert allowed
        courier.start()
        time.sleep(0.05)
        assert api.asked == []
    wait_until(lambda: spool.unsent == 0)
    assert courier.finish(10)


def test_what_another_process_does_not_finish_is_left_and_said(spool: Spool, courier: Courier) -> None:
    with spool.sending():
        courier.start()
        assert not courier.finish(10)
    assert spool.unsent


def test_it_hangs_up_even_when_nobody_waits_for_it_any_longer(
    spool: Spool, api: Any, courier: Courier, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    closed, request, answering = threading.Event(), api.request, threading.Event()
    monkeypatch.setattr(api, "close", closed.set)
    monkeypatch.setattr(api, "request", lambda *asked: answering.wait(20) and request(*asked))
    courier.start()
    assert not courier.finish(0.01)
    assert not closed.is_set()
    answering.set()
    wait_until(closed.is_set)
    assert spool.unsent == 0


@pytest.mark.parametrize("failure", [Unanswered("no", 0.01), OSError("the disk is full")])
def test_whatever_is_in_its_way_it_tries_again(
    writer: Writer,
    spool: Spool,
    api: Any,
    courier: Courier,
    failure: Exception,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    failures = [failure] * 3
    request = api.request

    def failing(*asked: Any) -> Any:
        if failures:
            raise failures.pop()
        return request(*asked)

    monkeypatch.setattr(api, "request", failing)
    monkeypatch.setattr(courier_module, "pauses", lambda: iter([0.01] * 10))
    courier.start()
    wait_until(lambda: spool.unsent == 0)
    assert failures == []
