"""Token buckets: how many pass, who is told to wait and how long, and that no training loses a point by it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

import tracker
from tracker.scope import Scope
from tracker.server import limit as module
from tracker.server import remote as remote_module
from tracker.server.auth import hash_of, new_key
from tracker.server.db import Database
from tracker.server.limit import AT_MOST, Limit
from tracker.server.remote import Remote
from tracker.server.store import keys
from workbook.labs.valkey import Valkey


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestOneProcess:
    def test_who_comes_too_often_is_told_how_long_to_wait(self, clock: Clock) -> None:
        limit = Limit(10, None, clock)
        assert [limit.take("a") for _ in range(20)] == [0.0] * 20
        assert limit.take("a") == pytest.approx(0.1)
        clock.now += 0.05
        assert limit.take("a") == pytest.approx(0.05)
        clock.now += 0.051
        assert limit.take("a") == 0.0
        assert limit.take("a") > 0

    def test_each_caller_has_a_bucket(self, clock: Clock) -> None:
        limit = Limit(0.5, None, clock)
        assert [limit.take(caller) for caller in "abc"] == [0.0] * 3
        assert [limit.take(caller) for caller in "abc"] == [2.0] * 3

    def test_a_bucket_holds_no_more_than_a_burst(self, clock: Clock) -> None:
        limit = Limit(5, None, clock)
        limit.take("a")
        clock.now += 1000
        assert [limit.take("a") > 0 for _ in range(11)] == [False] * 10 + [True]

    def test_in_the_long_run_a_caller_comes_as_often_as_the_rate_says(self, clock: Clock) -> None:
        limit = Limit(7, None, clock)
        passed = 0
        for _ in range(10_000):
            clock.now += 0.01
            passed += limit.take("a") == 0.0
        assert 700 <= passed <= 714

    def test_callers_who_are_gone_are_forgotten_and_those_who_wait_are_not(self, clock: Clock) -> None:
        limit = Limit(1, None, clock)
        for caller in range(AT_MOST):
            limit.take(str(caller))
        clock.now += 10
        while limit.take("greedy") == 0.0:
            pass
        limit.take("another")
        assert len(limit._buckets) <= 3
        assert limit.take("greedy") > 0

    def test_ever_new_callers_cost_no_more_than_there_is_room_for(self, clock: Clock) -> None:
        limit = Limit(0.001, None, clock)
        for caller in range(3 * AT_MOST):
            clock.now += 0.001
            limit.take(str(caller))
        assert len(limit._buckets) <= AT_MOST


class TestRoutes:
    def test_what_is_too_much_is_429_with_a_time_to_come_back(self, replica: Any) -> None:
        strict = replica(rate_limit=0.01)
        assert strict.http.get("/experiments").status_code == 200
        answer = strict.http.get("/experiments")
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        assert 90 <= int(answer.headers["retry-after"]) <= 100
        assert answer.json()["type"] == "urn:tracker:too-many-requests"
        assert answer.json()["detail"].startswith("a caller may make 0.01 requests a second here; try again in ")

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/", "/ui/", "/ui/page.js"])
    def test_machines_that_look_after_us_and_pages_are_free(self, replica: Any, path: str) -> None:
        strict = replica(rate_limit=0.01)
        strict.http.get("/runs")
        assert strict.http.get("/runs").status_code == 429
        assert {strict.http.get(path).status_code for _ in range(3)} <= {200, 307}

    def test_without_a_limit_there_is_none(self, replica: Any) -> None:
        plain = replica()
        assert {plain.http.get("/experiments").status_code for _ in range(100)} == {200}

    def test_the_key_of_a_request_is_its_caller(self, replica: Any, database: Database) -> None:
        """Two people behind one address are two."""
        strict = replica(rate_limit=0.01, auth="required")
        for name in ("ann", "bob"):
            key = new_key()
            with database.write() as session:
                keys.create_key(session, name=name, owner=name, scope=Scope.READ, key_hash=hash_of(key), at=0)
            sent = {"Authorization": f"Bearer {key}"}
            assert [strict.http.get("/runs", headers=sent).status_code for _ in range(2)] == [200, 429]


def test_a_training_under_a_limit_loses_nothing(replica: Any, tmp_path: Path) -> None:
    strict = replica(rate_limit=4)
    while strict.http.get("/runs").status_code == 200:
        pass
    with tracker.init("e", external_id="x", url=strict.url, folder=tmp_path) as run:
        for step in range(500):
            run.log({"loss": step}, step)
    while (answer := strict.http.get("/runs/1/metrics/loss", params={"max_points": 10_000})).status_code == 429:
        time.sleep(int(answer.headers["retry-after"]))
    assert answer.json()["values"] == list(range(500))
    while (answer := strict.http.get("/runs/1")).status_code == 429:
        time.sleep(int(answer.headers["retry-after"]))
    assert answer.json()["status"] == "finished"


class TestReplicas:
    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote_module, "PATIENCE", 20.0)

    @pytest.fixture
    def remote(self, valkey: Valkey) -> Iterator[Remote]:
        with closing(Remote(valkey.url)) as remote:
            yield remote

    @pytest.mark.parametrize("rate", [3, 25])
    def test_all_of_them_together_let_as_many_pass_as_one(self, remote: Remote, rate: float) -> None:
        limits = [Limit(rate, remote) for _ in range(3)]
        start = time.monotonic()
        waits = [limits[i % 3].take_shared("a") for i in range(200)]
        passed, seconds = waits.count(0.0), time.monotonic() - start
        assert 2 * rate <= passed <= 2 * rate + rate * seconds + 1
        assert all(0 <= wait <= 1 / rate for wait in waits)
        assert limits[0].take_shared("b") == 0.0

    def test_what_was_waited_for_is_there(self, remote: Remote) -> None:
        limit = Limit(5, remote)
        while not (wait := limit.take_shared("a")):
            pass
        time.sleep(wait + 0.01)
        assert limit.take_shared("a") == 0.0

    def test_a_bucket_is_forgotten_when_it_is_full(self, remote: Remote, valkey: Valkey) -> None:
        Limit(5, remote).take_shared("a")
        with closing(redis.Redis.from_url(valkey.url)) as client:
            assert 0 < client.pttl("tracker:bucket:a") <= 1000 * module.BURST

    def test_a_redis_that_knows_the_script_no_longer_is_told_it_again(self, remote: Remote, valkey: Valkey) -> None:
        limit = Limit(0.01, remote)
        assert limit.take_shared("a") == 0.0
        remote.ask(lambda client: client.script_flush())
        assert limit.take_shared("a") > 0

    @pytest.mark.parametrize("garbage", ["a text", {"tokens": "x", "at": "y"}, {"tokens": "nan", "at": "1e300"}])
    def test_garbage_in_a_bucket_refuses_nobody_for_ever(self, remote: Remote, valkey: Valkey, garbage: Any) -> None:
        with closing(redis.Redis.from_url(valkey.url)) as client:
            if isinstance(garbage, str):
                client.set("tracker:bucket:a", garbage)
            else:
                client.hset("tracker:bucket:a", mapping=garbage)
        limit = Limit(5, remote)
        waits = [limit.take_shared("a") for _ in range(5)]
        assert waits.count(0.0) == 5 or all(math.isfinite(wait) and wait <= 1 for wait in waits)

    def test_without_redis_each_has_a_limit_of_its_own(
        self, replica: Any, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other = (replica(rate_limit=0.001, redis_url=valkey.url) for _ in range(2))
        assert [one.http.get("/runs").status_code, other.http.get("/runs").status_code] == [200, 429]
        valkey.kill()
        codes = [[replica_.http.get("/runs").status_code for _ in range(2)] for replica_ in (one, other)]
        assert codes == [[200, 429], [200, 429]]
        monkeypatch.setattr(remote_module, "PAUSE", 0.0)
        valkey.restart()
        for replica_ in (one, other):
            assert isinstance(replica_.app.state.fanout.remote, Remote)
            replica_.app.state.fanout.remote._until = 0.0
        assert [one.http.get("/runs").status_code, other.http.get("/runs").status_code] == [200, 429]
