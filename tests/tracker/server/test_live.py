"""Live events: what a viewer is told, when a stream ends, and that nobody who is slow costs memory."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tracker.server import body, live
from tracker.server.db import Database
from tracker.server.live import Live, Watch
from tracker.server.problem import NotFound
from tracker.server.store.changes import Change

WaitUntil = Callable[..., None]


@pytest.fixture
def alone(replica: Any) -> Any:
    return replica()


@pytest.fixture
def run(alone: Any) -> int:
    made: int = alone.new_run()
    return made


class TestRefusals:
    def test_a_run_that_is_not_there_is_404(self, alone: Any) -> None:
        answer = alone.http.get("/runs/99/events")
        assert (answer.status_code, answer.json()["detail"]) == (404, "there is no run 99")

    @pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
    def test_an_id_that_is_none_of_ours_is_422(self, alone: Any, run: int, last: str) -> None:
        answer = alone.http.get(f"/runs/{run}/events", headers={"Last-Event-ID": last})
        assert answer.status_code == 422
        assert "last-event-id" in answer.json()["detail"]

    def test_one_stream_more_than_there_may_be_is_503_until_one_is_closed(
        self, replica: Any, watch: Any, wait_until: WaitUntil
    ) -> None:
        small = replica(streams=2)
        run = small.new_run()
        first, _ = watch(small.url, run), watch(small.url, run)
        answer = small.http.get(f"/runs/{run}/events")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"] == "urn:tracker:too-many-streams"
        first.close()
        wait_until(lambda: watch(small.url, run).response.status == 200)

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_a_database_in_trouble_is_503_and_nobody_waits_for_ever(
        self, alone: Any, run: int, watch: Any, database: Database, wait_until: WaitUntil
    ) -> None:
        viewer = watch(alone.url, run)
        with database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE metrics RENAME TO elsewhere")
        answer = alone.http.get(f"/runs/{run}/events")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        with database.write() as session:
            session.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO metrics")
        alone.log(run, loss=1.0)
        wait_until(lambda: viewer.keys == {"loss": 1})


def test_who_comes_is_told_the_status_and_the_versions_of_all_curves(
    alone: Any, run: int, watch: Any, wait_until: WaitUntil
) -> None:
    alone.log(run, loss=1.0, acc=0.5)
    alone.log(run, step=1, loss=0.5)
    viewer = watch(alone.url, run)
    assert viewer.response.status == 200
    assert viewer.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert viewer.response.headers["cache-control"] == "no-store"
    wait_until(lambda: len(viewer.events) == 2)
    assert viewer.events == [("run", {"status": "running"}), ("metrics", {"keys": {"acc": 1, "loss": 2}})]
    assert viewer.last_id == 2


def test_a_run_without_curves_is_told_so(alone: Any, run: int, watch: Any, wait_until: WaitUntil) -> None:
    viewer = watch(alone.url, run)
    wait_until(lambda: len(viewer.events) == 2)
    assert viewer.events[1] == ("metrics", {"keys": {}})
    alone.log(run, loss=1.0)
    wait_until(lambda: viewer.keys == {"loss": 1})


def test_each_viewer_is_told_what_changes_once(alone: Any, run: int, watch: Any, wait_until: WaitUntil) -> None:
    viewers = [watch(alone.url, run) for _ in range(3)]
    other = watch(alone.url, alone.new_run())
    for step in range(3):
        alone.log(run, step=step, loss=1.0)
        wait_until(lambda step=step: all(viewer.keys == {"loss": step + 1} for viewer in viewers))
    told = [("metrics", {"keys": {"loss": version}}) for version in (1, 2, 3)]
    late = watch(alone.url, run)  # is told of all curves; the others know of them
    wait_until(lambda: late.keys == {"loss": 3})
    alone.log(run, step=3, loss=1.0)
    wait_until(lambda: all(viewer.keys == {"loss": 4} for viewer in [*viewers, late]))
    for viewer in viewers:
        assert viewer.events[2:] == [*told, ("metrics", {"keys": {"loss": 4}})]
    assert other.keys == {}


def test_a_rewind_changes_every_curve(alone: Any, run: int, watch: Any, wait_until: WaitUntil) -> None:
    alone.log(run, a=1.0)
    alone.log(run, b=1.0)
    viewer = watch(alone.url, run)
    alone.http.post(f"/runs/{run}/rewind", json={"step": 0, "at": 2**50})
    wait_until(lambda: viewer.keys == {"a": 3, "b": 3})


def test_a_status_is_told_when_it_changes_and_the_end_of_the_run_ends_the_stream(
    alone: Any, run: int, watch: Any, wait_until: WaitUntil
) -> None:
    viewer = watch(alone.url, run)
    wait_until(lambda: viewer.statuses == ["running"])
    alone.http.patch(f"/runs/{run}", json={"status": "finished"})
    wait_until(lambda: viewer.statuses == ["running", "finished"])
    alone.http.patch(f"/runs/{run}", json={"name": "another"})
    alone.log(run, late=1.0)  # points are accepted in every status
    wait_until(lambda: viewer.keys == {"late": 1})
    alone.http.delete(f"/runs/{run}")
    wait_until(viewer.ended.is_set)
    assert viewer.statuses == ["running", "finished"]
    assert viewer.events[-1] == ("gone", {})


class TestReconnecting:
    def test_what_changed_since_is_told_at_once_and_nothing_else(
        self, alone: Any, run: int, watch: Any, wait_until: WaitUntil
    ) -> None:
        alone.log(run, a=1.0, b=1.0)
        viewer = watch(alone.url, run)
        wait_until(lambda: viewer.last_id == 1)
        viewer.close()
        alone.log(run, step=1, b=1.0)
        alone.log(run, step=2, c=1.0)
        again = watch(alone.url, run, viewer.last_id)
        wait_until(lambda: len(again.events) == 2)
        assert again.events[1] == ("metrics", {"keys": {"b": 2, "c": 3}})

    def test_where_nothing_changed_only_the_status_is_told(
        self, alone: Any, run: int, watch: Any, wait_until: WaitUntil
    ) -> None:
        alone.log(run, a=1.0)
        viewer = watch(alone.url, run, 1)
        alone.log(run, b=1.0)
        wait_until(lambda: viewer.keys)
        assert viewer.events == [("run", {"status": "running"}), ("metrics", {"keys": {"b": 2}})]

    def test_an_id_of_another_database_is_no_reason_to_be_told_nothing(
        self, alone: Any, run: int, watch: Any, wait_until: WaitUntil
    ) -> None:
        alone.log(run, a=1.0)
        viewer = watch(alone.url, run, 1000)
        wait_until(lambda: viewer.keys == {"a": 1})

    def test_again_and_again_while_points_come_misses_none(
        self, alone: Any, run: int, watch: Any, wait_until: WaitUntil
    ) -> None:
        def ingest() -> None:
            with httpx.Client(base_url=alone.url, timeout=60) as http_:
                for step in range(100):
                    points = [{"key": f"key {step}", "value": 1.0, "step": step}]
                    assert http_.post(f"/runs/{run}/metrics", json={"points": points}).status_code == 201

        ingesting = threading.Thread(target=ingest)
        ingesting.start()
        heard: dict[str, int] = {}
        last: int | None = None
        while len(heard) < 100:
            viewer = watch(alone.url, run, last)
            wait_until(lambda viewer=viewer: viewer.keys or len(viewer.events) == 2)
            viewer.close()
            heard |= viewer.keys
            last = viewer.last_id if viewer.last_id is not None else last
        ingesting.join()
        assert heard == {f"key {step}": step + 1 for step in range(100)}


def test_fifty_viewers_are_told_of_every_curve_while_points_come_from_everywhere(
    alone: Any, watch: Any, wait_until: WaitUntil
) -> None:
    runs = [alone.new_run() for _ in range(5)]
    viewers = [(run, watch(alone.url, run)) for run in runs for _ in range(10)]
    for step in range(30):
        for run in runs:
            alone.log(run, step=step, **{f"key{step % 7}": 1.0, f"of_{run}": 1.0})
    for run, viewer in viewers:
        newest = {f"key{key}": max(s for s in range(30) if s % 7 == key) + 1 for key in range(7)}
        wait_until(lambda viewer=viewer, all_=newest | {f"of_{run}": 30}: viewer.keys == all_)


def test_a_silent_stream_says_that_it_is_open(
    alone: Any, run: int, watch: Any, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE", 0.05)
    monkeypatch.setattr(body, "SECONDS", 0.1)  # which counts until the body has come, and this one has none
    viewer = watch(alone.url, run)
    wait_until(lambda: viewer.comments >= 6)
    alone.log(run, loss=1.0)
    wait_until(lambda: viewer.keys == {"loss": 1})


def test_a_viewer_who_leaves_is_forgotten_logged_and_no_longer_looked_for(
    alone: Any, run: int, watch: Any, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "tracker.server.requests"):
        viewer = watch(alone.url, run)
        wait_until(lambda: len(viewer.events) == 2)
        assert not [r for r in caplog.records if "events" in r.getMessage()]
        viewer.close()
        wait_until(lambda: alone.app.state.live._watches == {})
        wait_until(alone.app.state.live._task.done)
        wait_until(lambda: [r for r in caplog.records if r.getMessage() == "GET /runs/{run_id}/events"])
    again = watch(alone.url, run)
    wait_until(lambda: len(again.events) == 2)


def test_who_does_not_read_holds_no_more_than_the_curves_there_are() -> None:
    async def stay_away() -> Watch:
        watch = Watch(Live(None, 1), 1, 0)  # type: ignore[arg-type]  # it is never looked into
        watch.take(Change("running"))
        for version in range(1, 10_000):
            watch.take(Change("running" if version % 2 else "killed", {f"key {version % 3}": version}))
        assert watch._untold == {
            "run": {"status": "running"},
            "metrics": {"keys": {f"key {v % 3}": v for v in (9997, 9998, 9999)}},
        }
        return watch

    asyncio.run(stay_away())


def test_the_id_of_an_event_is_not_newer_than_what_the_event_says() -> None:
    """What is found while an event is sent has an event of its own; who leaves in between must be told of it later."""

    async def slow() -> None:
        watch = Watch(Live(None, 1), 1, 0)  # type: ignore[arg-type]  # it is never looked into
        watch.take(Change("running", {"a": 1}))
        events = watch.events()
        assert b"event: run" in await anext(events)
        watch.take(Change("running", {"b": 2}))
        assert await anext(events) == b'event: metrics\ndata: {"keys": {"a": 1}}\nid: 1\n\n'
        assert await anext(events) == b'event: metrics\ndata: {"keys": {"b": 2}}\nid: 2\n\n'
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(slow())


def test_everybody_is_found_in_one_look_at_a_time(database: Database) -> None:
    """Whoever comes while a look is under way waits for the next one, and all of them share it."""
    looks: list[dict[int, int]] = []

    class Counting(Live):
        def _look(self, seen: Any) -> dict[int, Change]:
            looks.append(dict(seen))
            return {run: Change("running") for run in seen if run < 100}

    async def come() -> None:
        counting = Counting(database, 1000)
        watches = await asyncio.gather(*(counting.watch(run) for run in range(50) for _ in range(4)))
        assert len(looks) <= 2
        with pytest.raises(NotFound):
            await counting.watch(100)
        assert 100 not in counting._watches
        for watch in watches:
            watch.close()
        assert counting._watches == {}

    asyncio.run(come())


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_server_ends_the_streams_and_waits_for_none(
    tmp_path: Path, watch: Any, wait_until: WaitUntil, end: signal.Signals
) -> None:
    stop_with_viewers(tmp_path, watch, wait_until, end, {})


def test_it_waits_for_no_redis_either(tmp_path: Path, watch: Any, wait_until: WaitUntil, valkey_url: str) -> None:
    stop_with_viewers(tmp_path, watch, wait_until, signal.SIGTERM, {"TRACKER_REDIS_URL": valkey_url})


def stop_with_viewers(
    folder: Path, watch: Any, wait_until: WaitUntil, end: signal.Signals, settings: dict[str, str]
) -> None:
    """uvicorn would wait for them until the grace is over, and then say on stderr whom it had to cut off."""
    command = [sys.executable, "-m", "tracker", "serve", "--quiet", "--port", "0", "--dir", str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=os.environ | settings, text=True, **pipes) as process:
        assert process.stdout
        found = re.search(r"(http://\S+)/ui/", process.stdout.readline())
        assert found
        httpx.post(f"{found[1]}/experiments", json={"name": "e"})
        run = httpx.post(f"{found[1]}/experiments/1/runs", json={}).json()["id"]
        viewers = [watch(found[1], run) for _ in range(5)]
        wait_until(lambda: all(len(viewer.events) == 2 for viewer in viewers))
        process.send_signal(end)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    wait_until(lambda: all(viewer.ended.is_set() for viewer in viewers))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TRACKER_STREAMS", "many", "TRACKER_STREAMS is 'many': write a whole number from 1 on"),
        ("TRACKER_REDIS_URL", "here", "TRACKER_REDIS_URL is no address of a Redis: write one like redis://127"),
    ],
)
def test_a_setting_that_is_none_is_told_at_the_start(tmp_path: Path, name: str, value: str, says: str) -> None:
    command = [sys.executable, "-m", "tracker", "serve", "--dir", str(tmp_path)]
    ran = subprocess.run(command, env=os.environ | {name: value}, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"tracker: {says}")
    assert len(ran.stderr.splitlines()) == 1
