"""Kept lists: the answers are those of the database, whatever becomes of the Redis that keeps them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import event

from tracker.server import cache as module
from tracker.server import remote as remote_module
from tracker.server.cache import Cache, Flights
from tracker.server.db import Database
from tracker.server.remote import Remote
from workbook.labs.valkey import Valkey


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not an absent Redis; the tests in which it is absent say so."""
    monkeypatch.setattr(remote_module, "PATIENCE", 20.0)


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(valkey.url)) as client:
        yield client


@pytest.fixture
def remote(valkey: Valkey) -> Iterator[Remote]:
    with closing(Remote(valkey.url)) as remote:
        yield remote


@pytest.fixture
def cache(remote: Remote) -> Cache:
    return Cache(remote)


class Source:
    """What is true, and how often somebody looked."""

    def __init__(self) -> None:
        self.text = b"first"
        self.looks = 0

    def __call__(self) -> bytes:
        self.looks += 1
        return self.text


@pytest.fixture
def source() -> Source:
    return Source()


def read(cache: Cache, source: Callable[[], bytes], question: str = "q", *about: int) -> bytes:
    return cache.read({"question": question}, lambda: about or [1], source)


class TestFailing:
    def test_what_cannot_be_read_is_not_kept(self, cache: Cache, source: Source) -> None:
        def fail() -> bytes:
            raise LookupError("no")

        for _ in range(2):
            with pytest.raises(LookupError):
                read(cache, fail)
        assert read(cache, source) == b"first"

    @pytest.mark.parametrize("garbage", [b"", b"garbage", b"x" * 100, None])
    def test_garbage_is_not_an_answer(
        self, cache: Cache, source: Source, client: redis.Redis, garbage: bytes | None
    ) -> None:
        read(cache, source)
        (key,) = client.keys("tracker:list:*")
        kept: Any = client.get(key)
        client.set(key, kept[:-1] + b"X" if garbage is None else garbage)
        assert read(cache, source) == b"first"
        assert source.looks == 2
        assert read(cache, source) == b"first"
        assert source.looks == 2

    def test_the_answer_to_another_question_is_not_an_answer(
        self, cache: Cache, source: Source, client: redis.Redis
    ) -> None:
        read(cache, source, "one")
        (one,) = client.keys("tracker:list:*")
        read(cache, lambda: b"other", "other")
        (other,) = set(client.keys("tracker:list:*")) - {one}
        client.copy(one, other, replace=True)
        assert read(cache, lambda: b"other", "other") == b"other"

    @pytest.mark.parametrize("name", ["tracker:generation:1", "list"])
    def test_a_thing_of_another_kind_in_our_place_is_no_answer(
        self, cache: Cache, source: Source, client: redis.Redis, name: str
    ) -> None:
        read(cache, source)
        if name == "list":
            (name,) = [key.decode() for key in client.keys("tracker:list:*")]
        client.delete(name)
        client.rpush(name, "x")
        source.text = b"second"
        assert read(cache, source) == b"second"

    def test_what_is_too_large_is_read_each_time(
        self, cache: Cache, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LARGEST", 4)
        assert [read(cache, source) for _ in range(2)] == [b"first"] * 2
        assert source.looks == 2

    def test_a_generation_that_was_thrown_out_does_not_come_again(
        self, cache: Cache, source: Source, client: redis.Redis
    ) -> None:
        read(cache, source)
        client.delete("tracker:generation:1")
        source.text = b"second"
        assert read(cache, source) == b"second"


def test_without_a_remote_everything_is_read_where_it_is(source: Source) -> None:
    cache = Cache(None)
    cache.changed(1)
    assert [read(cache, source) for _ in range(2)] == [b"first"] * 2
    assert source.looks == 2


def test_the_second_who_asks_is_given_what_the_first_read(cache: Cache, remote: Remote, source: Source) -> None:
    for reader in (cache, cache, Cache(remote)):  # the last: another replica
        assert read(reader, source) == b"first"
    assert source.looks == 1


def test_questions_that_differ_in_anything_are_others(cache: Cache) -> None:
    for number, question in enumerate([{"a": 1}, {"a": 2}, {"a": [1, 2]}, {"a": [2, 1]}, {"a": None}, {"b": 1}]):
        answer = str(number).encode()
        assert cache.read(question, lambda: [1], lambda answer=answer: answer) == answer


def test_after_a_change_nobody_is_told_what_was_before(cache: Cache, remote: Remote, source: Source) -> None:
    other = Cache(remote)
    for about in ([1], [1, 2], []):  # of the experiment, of several, of all
        source.text = b"before"
        assert cache.read({}, lambda about=about: about, source) == b"before"
        source.text = b"after"
        other.changed(1)
        assert cache.read({}, lambda about=about: about, source) == b"after"


def test_a_change_elsewhere_changes_nothing_here(cache: Cache, source: Source) -> None:
    read(cache, source)
    cache.changed(2)
    read(cache, source)
    assert source.looks == 1


def test_what_somebody_slow_read_before_a_change_is_not_read_after_it(cache: Cache, source: Source) -> None:
    def slow() -> bytes:
        before = source.text
        source.text = b"second"
        cache.changed(1)
        return before

    read(cache, slow)
    assert read(cache, source) == b"second"


def test_nothing_lives_for_ever(cache: Cache, source: Source, client: redis.Redis) -> None:
    read(cache, source)
    cache.changed(1)
    lives = {key: client.ttl(key) for key in client.keys("*")}
    assert len(lives) == 3
    for key, seconds in lives.items():
        assert 0 < seconds <= (module.LIFE if b":list:" in key else module.GENERATION_LIFE)


class TestSingleFlight:
    def test_of_many_who_miss_one_reads(self, cache: Cache, source: Source, wait_until: Any) -> None:
        many, answers, go_on = 20, list[bytes](), threading.Event()

        def slow() -> bytes:
            assert go_on.wait(20)
            return source()

        threads = [threading.Thread(target=lambda: answers.append(read(cache, slow))) for _ in range(many)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(cache._flights._open) == 1)
        go_on.set()
        for thread in threads:
            thread.join()
        assert answers == [b"first"] * many
        assert source.looks == 1
        assert cache._flights._open == {}

    def test_where_the_one_fails_all_are_told(self, cache: Cache, wait_until: Any) -> None:
        told, go_on = list[str](), threading.Event()

        def fail() -> bytes:
            assert go_on.wait(20)
            raise LookupError("the same for all")

        def ask() -> None:
            try:
                read(cache, fail)
            except LookupError as error:
                told.append(str(error))

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(cache._flights._open) == 1)
        go_on.set()
        for thread in threads:
            thread.join()
        assert told == ["the same for all"] * 5

    def test_who_asks_after_a_change_does_not_take_the_answer_of_one_who_asked_before(
        self, cache: Cache, source: Source
    ) -> None:
        reading, go_on = threading.Event(), threading.Event()

        def slow() -> bytes:
            before = source.text
            reading.set()
            assert go_on.wait(20)
            return before

        early = threading.Thread(target=lambda: read(cache, slow))
        early.start()
        assert reading.wait(20)
        source.text = b"second"
        cache.changed(1)
        assert read(cache, source) == b"second"
        go_on.set()
        early.join()
        assert read(cache, source) == b"second"


class TestFlights:
    """Without a Redis: who reads, and who is told."""

    class SlowKey(str):
        """Who looks it up without a lock is overtaken meanwhile. Knows who has looked."""

        def __init__(self, _: str) -> None:
            self.looked: set[int] = set()

        def __hash__(self) -> int:
            self.looked.add(threading.get_ident())
            time.sleep(0.003)
            return super().__hash__()

    def crowd(self, flights: Flights, read: Callable[[], bytes], many: int = 8) -> list[object]:
        """What each of many who ask at once is told; the first read takes until all have looked."""
        told, here, begun = list[object](), threading.Barrier(many), list[float]()
        key = self.SlowKey("key")

        def slow() -> bytes:
            begun.append(time.monotonic())
            while len(key.looked) < many and time.monotonic() < begun[0] + 2:
                time.sleep(0.01)
            time.sleep(0.1)
            return read()

        def ask() -> None:
            here.wait()
            try:
                told.append(flights.share(key, slow))
            except Exception as error:
                told.append((type(error), str(error)))

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(many)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 20
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return told

    class Fault(Exception):
        """Of no kind that anybody has thought of."""

    @pytest.mark.parametrize("kind", [LookupError, Fault])
    def test_where_the_one_fails_all_are_told_and_the_next_reads_again(
        self, source: Source, kind: type[Exception]
    ) -> None:
        flights = Flights()

        def fail() -> bytes:
            source()
            raise kind("the same for all")

        assert self.crowd(flights, fail) == [(kind, "the same for all")] * 8
        assert source.looks == 1
        assert flights.share("key", source) == b"first"

    def test_of_many_one_reads_and_nothing_is_kept(self, source: Source) -> None:
        flights = Flights()
        assert self.crowd(flights, source) == [b"first"] * 8
        assert source.looks == 1
        source.text = b"second"
        assert flights.share("key", source) == b"second"

    @pytest.mark.parametrize("answer", [b"slow", b""])
    def test_another_key_is_not_held_up_and_takes_nothing_along(self, source: Source, answer: bytes) -> None:
        flights, reading, go_on, told = Flights(), threading.Event(), threading.Event(), list[bytes]()
        key = self.SlowKey("slow")

        def slow() -> bytes:
            reading.set()
            assert go_on.wait(20)
            return answer

        def ask(key: str, read: Callable[[], bytes]) -> threading.Thread:
            thread = threading.Thread(target=lambda: told.append(flights.share(key, read)), daemon=True)
            thread.start()
            return thread

        early = ask(key, slow)
        assert reading.wait(20)
        ask("other", source).join(5)
        assert told == [b"first"]
        late = ask(key, source)
        while len(key.looked) < 2:
            time.sleep(0.01)
        time.sleep(0.1)
        go_on.set()
        early.join(20)
        late.join(20)
        assert told == [b"first", answer, answer]
        assert source.looks == 1


class TestAway:
    """Redis is killed, or silent, while things change."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote_module, "PAUSE", 0.0)

    def test_the_database_answers_and_later_the_cache_again(self, cache: Cache, source: Source, valkey: Valkey) -> None:
        read(cache, source)
        valkey.kill()
        source.text = b"second"
        cache.changed(1)
        assert [read(cache, source) for _ in range(3)] == [b"second"] * 3
        assert source.looks == 4
        valkey.restart()
        assert [read(cache, source) for _ in range(3)] == [b"second"] * 3
        assert source.looks == 5

    def test_a_change_that_redis_did_not_hear_of_is_told_before_anything_is_read_from_it(
        self, cache: Cache, source: Source, valkey: Valkey, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was silent and has forgotten nothing: what it keeps is what was before."""
        monkeypatch.setattr(remote_module, "PATIENCE", 0.2)
        with closing(Remote(valkey.url)) as impatient:
            cache = Cache(impatient)
            read(cache, source)
            valkey.pause()
            source.text = b"second"
            cache.changed(1)
            assert read(cache, source) == b"second"
            assert list(cache._owed) == [1]
            valkey.resume()
            assert [read(cache, source) for _ in range(3)] == [b"second"] * 3
            assert cache._owed == {}
        assert read(Cache(remote), source) == b"second"

    def test_two_changes_of_which_the_second_comes_while_the_first_is_told(
        self, valkey: Valkey, source: Source, client: redis.Redis
    ) -> None:
        class Held(Remote):
            """Holds its first answer back until the second change has been made."""

            def ask(self, work: Any) -> Any:
                answer = super().ask(work)
                if not told.is_set():
                    told.set()
                    assert go_on.wait(20)
                return answer

        told, go_on = threading.Event(), threading.Event()
        with closing(Held(valkey.url)) as held:
            cache = Cache(held)
            first = threading.Thread(target=cache.changed, args=(1,))
            first.start()
            assert told.wait(20)
            token = client.get("tracker:generation:1")
            second = threading.Thread(target=cache.changed, args=(1,))
            second.start()
            go_on.set()
            first.join()
            second.join()
            assert client.get("tracker:generation:1") != token
            assert cache._owed == {}


LISTS: list[Callable[[list[int]], tuple[str, dict[str, Any]]]] = [
    lambda runs: ("/experiments/1", {}),
    lambda runs: ("/experiments/1", {"sort": "-loss", "keys": ["loss"]}),
    lambda runs: ("/experiments/2/runs", {"limit": 2}),
    lambda runs: ("/experiments/1/runs", {"status": ["finished"]}),
    lambda runs: ("/runs", {}),
    lambda runs: ("/runs", {"job": "7"}),
    lambda runs: ("/compare", {"run": runs[:3], "key": "loss"}),
    lambda runs: ("/compare", {"run": runs[-2:], "key": "acc", "max_points": 2}),
]


def write(rng: random.Random, http: httpx.Client, runs: list[int]) -> None:
    """Something at random, of all that can be changed."""
    run = rng.choice(runs)
    what = rng.randrange(7)
    if what == 0:
        body = {"external_id": f"x{rng.randrange(4)}", "attempt": str(rng.random()), "job": rng.choice(["7", "8"])}
        runs.append(http.post(f"/experiments/{rng.randint(1, 2)}/runs", json=body).json()["id"])
    elif what == 1:
        http.patch(f"/runs/{run}", json={"status": rng.choice(["finished", "running", "killed"])})
    elif what == 2:
        http.patch(f"/runs/{run}", json={"name": f"n{rng.random()}"})
    elif what == 3:
        http.post(f"/runs/{run}/rewind", json={"step": rng.randrange(5), "at": rng.randrange(2**41, 2**42)})
    elif what == 4 and rng.random() < 0.3:
        http.delete(f"/runs/{run}")
    else:
        points = [{"key": rng.choice(["loss", "acc"]), "value": rng.random(), "step": rng.randrange(9)}]
        http.post(f"/runs/{run}/metrics", json={"points": points})


class TestOracle:
    """With and without a cache the same answers, whatever was written, wherever it was, and where it is asked."""

    @pytest.mark.parametrize("seed", range(3))
    def test_lists_are_those_of_the_database(
        self, replica: Any, valkey: Valkey, client: redis.Redis, seed: int
    ) -> None:
        rng = random.Random(seed)
        plain = replica()
        cached = [replica(redis_url=valkey.url) for _ in range(2)]
        runs = [plain.new_run("a"), plain.new_run("b")]
        for _ in range(60):
            write(rng, rng.choice(cached).http, runs)
            for make in rng.sample(LISTS, 3):
                path, query = make(runs)
                truth = plain.http.get(path, params=query)
                for _ in range(2):
                    answer = rng.choice(cached).http.get(path, params=query)
                    assert (answer.status_code, answer.text) == (truth.status_code, truth.text), (path, query)
        gets: Any = client.info("commandstats")
        assert gets["cmdstat_get"]["calls"] > 100

    def test_an_experiment_that_is_deleted_is_gone_from_every_list(self, replica: Any, valkey: Valkey) -> None:
        one, other = (replica(redis_url=valkey.url) for _ in range(2))
        run, rest = one.new_run("a"), one.new_run("b")
        one.log(run, loss=1.0)
        asked = ["/experiments/1", "/experiments/1/runs", "/runs", f"/compare?run={run}&run={rest}&key=loss"]
        for path in asked:
            assert one.http.get(path).status_code == other.http.get(path).status_code == 200
        one.http.delete("/experiments/1")
        assert [other.http.get(path).status_code for path in asked] == [404, 404, 200, 404]
        assert [found["id"] for found in other.http.get("/runs").json()["items"]] == [rest]

    @pytest.mark.parametrize("how", ["kill", "pause"])
    def test_without_redis_lists_are_right_too(
        self, replica: Any, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        monkeypatch.setattr(remote_module, "PATIENCE", 0.15)
        alone = replica(redis_url=valkey.url)
        run = alone.new_run()

        def newest(step: int) -> bool:
            alone.log(run, step=step, loss=1.0)
            items = alone.http.get("/experiments/1").json()["runs"]["items"]
            return bool(items[0]["latest"]["loss"]["step"] == step)

        assert all(newest(step) for step in range(5))
        getattr(valkey, how)()
        assert all(newest(step) for step in range(5, 10))
        assert alone.http.get("/readyz").status_code == 200
        valkey.resume() if how == "pause" else valkey.restart()
        assert all(newest(step) for step in range(10, 50))

    def test_many_who_ask_the_same_at_once_are_few_statements(
        self, replica: Any, valkey: Valkey, database: Database
    ) -> None:
        alone = replica(redis_url=valkey.url)
        alone.new_run()
        seen: list[str] = []
        event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        for _ in range(10):
            assert alone.http.get("/experiments/1").status_code == 200
        once = len(seen)
        assert once > 0
        threads = [threading.Thread(target=httpx.get, args=(f"{alone.url}/experiments/1?limit=7",)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 2 * once
