"""Workers in processes of their own, between a real RabbitMQ and a real PostgreSQL."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from tracker.server.broker import Broker, encode
from tracker.server.db import Database
from tracker.server.store import curves, experiments, runs
from tracker.server.store.points import Batch
from tracker.values import Status

KILLED_BEFORE_ACK = """
import os
from aio_pika import IncomingMessage
async def die(*_, **__): os.kill(os.getpid(), 9)
IncomingMessage.ack = die
"""
KILLED_BEFORE_COMMIT = """
import os
from tracker.server.store import points
append = points.append
def die(*given):
    append(*given)
    os.kill(os.getpid(), 9)
points.append = die
"""

UNABLE_TO_BURY_AT_FIRST = """
from tracker.server.broker import Broker
publish, failures = Broker.publish, [TimeoutError("no answer")]
async def failing(*arguments, **options):
    if failures: raise failures.pop()
    await publish(*arguments, **options)
Broker.publish = failing
"""


@pytest.fixture
def database(on_queue: Any) -> Iterator[Database]:
    """With a run, number 1."""
    with closing(Database(on_queue["TRACKER_DATABASE_URL"])) as database:
        with database.write() as session:
            experiment = experiments.create_experiment(session, "e", "", at=0)
            runs.create_run(session, experiment.id, at=0)
        yield database


def queued(on_queue: Any, *messages: Batch | bytes) -> None:
    async def publish() -> None:
        broker = Broker(on_queue["TRACKER_RABBITMQ_URL"], on_queue["TRACKER_QUEUE"], 1000)
        for message in messages:
            await broker.publish(broker.points, encode(message) if isinstance(message, Batch) else message)
        await broker.close()

    asyncio.run(publish())


def left(on_queue: Any, name: str = "points") -> int:
    """How many messages are in the queue."""

    async def count() -> int:
        broker = Broker(on_queue["TRACKER_RABBITMQ_URL"], on_queue["TRACKER_QUEUE"], 1000)
        found = await broker.count(getattr(broker, name))
        await broker.close()
        return found

    return asyncio.run(count())


def stored(database: Database, key: str = "loss") -> dict[int, float]:
    with database.read() as session:
        try:
            curve = curves.read_curve(session, curves.get_metric(session, 1, key), at_most=100_000)
        except Exception:
            return {}
    return dict(zip(curve["steps"], curve["values"], strict=True))


def batch(*values: float, start: int = 0, run_id: int = 1, key: str = "loss", at: int = 0) -> Batch:
    return Batch(run_id, [(key, start + i, value, at) for i, value in enumerate(values)], at)


def test_of_messages_that_cannot_be_stored_each_is_buried_and_the_others_are_stored(
    on_queue: Any, database: Database, worker: Any, wait_until: Any
) -> None:
    too_long = batch(1.0, key="x" * 300)  # than the column: only the database can say so
    queued(on_queue, batch(0.5), b"poison", too_long, batch(0.6, start=1))
    worker(on_queue)
    wait_until(lambda: stored(database) == {0: 0.5, 1: 0.6} and left(on_queue, "dead") == 2)
    assert left(on_queue) == 0


def test_what_it_had_in_hand_when_the_queue_did_not_answer_comes_again(
    on_queue: Any, database: Database, worker: Any, wait_until: Any
) -> None:
    queued(on_queue, b"poison", *(batch(float(i), start=i) for i in range(1000)))
    worker(on_queue, UNABLE_TO_BURY_AT_FIRST)
    wait_until(lambda: len(stored(database)) == 1000 and left(on_queue, "dead") == 1)
    assert left(on_queue) == 0


def test_a_queue_that_somebody_has_deleted_is_declared_again(
    tmp_path: Path, on_queue: Any, database: Database, worker: Any, wait_until: Any
) -> None:
    async def delete() -> None:
        broker = Broker(on_queue["TRACKER_RABBITMQ_URL"], on_queue["TRACKER_QUEUE"], 1000)
        await (await broker.channel()).queue_delete(broker.points)
        await broker.close()

    queued(on_queue, batch(0.5))
    worker(on_queue)
    wait_until(lambda: stored(database))
    asyncio.run(delete())
    wait_until(lambda: "the queue does not answer" in (tmp_path / "worker-0.log").read_text())
    queued(on_queue, batch(0.6, start=1))
    wait_until(lambda: stored(database) == {0: 0.5, 1: 0.6})


def test_points_of_a_deleted_run_are_left_out(on_queue: Any, database: Database, worker: Any, wait_until: Any) -> None:
    queued(on_queue, batch(0.5, run_id=99), batch(0.6))
    worker(on_queue)
    wait_until(lambda: stored(database) == {0: 0.6} and left(on_queue) == 0)
    assert left(on_queue, "dead") == 0


def test_what_comes_twice_or_late_changes_nothing(
    on_queue: Any, database: Database, worker: Any, wait_until: Any
) -> None:
    newer, older = batch(2.0, 2.0, at=20), batch(1.0, 1.0, at=10)
    queued(on_queue, newer, older, newer, older, batch(7.0, start=5))
    worker(on_queue)
    wait_until(lambda: 5 in stored(database))
    assert stored(database) == {0: 2.0, 1: 2.0, 5: 7.0}


def test_a_run_that_ended_before_its_last_points_came_is_sealed_with_them(
    on_queue: Any, database: Database, worker: Any, wait_until: Any
) -> None:
    with database.write() as session:
        runs.change_run(session, 1, status=Status.FINISHED, at=1)
    queued(on_queue, batch(0.5, 0.25))
    worker(on_queue)
    wait_until(lambda: len(stored(database)) == 2)
    with database.read() as session:
        metric = curves.get_metric(session, 1, "loss")
        assert (metric.count, metric.min, metric.max) == (2, 0.25, 0.5)


@pytest.mark.parametrize("death", [KILLED_BEFORE_ACK, KILLED_BEFORE_COMMIT], ids=["before ack", "before commit"])
def test_a_worker_that_dies_loses_and_doubles_nothing(
    on_queue: Any, database: Database, worker: Any, wait_until: Any, death: str
) -> None:
    queued(on_queue, *(batch(float(i), start=i) for i in range(100)))
    assert worker(on_queue, death).wait(60) == -signal.SIGKILL
    assert (len(stored(database)) > 0) == (death is KILLED_BEFORE_ACK)
    worker(on_queue)
    wait_until(lambda: len(stored(database)) == 100 and left(on_queue) == 0)
    assert stored(database) == {i: float(i) for i in range(100)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_ends_well(
    on_queue: Any, database: Database, worker: Any, wait_until: Any, number: int
) -> None:
    process = worker(on_queue)
    queued(on_queue, *(batch(float(i), start=i) for i in range(300)))
    wait_until(lambda: stored(database))
    process.send_signal(number)
    assert process.wait(60) == 0
    assert len(stored(database)) + left(on_queue) >= 300
    worker(on_queue)
    wait_until(lambda: len(stored(database)) == 300 and left(on_queue) == 0)


def test_two_workers_share_the_work(on_queue: Any, database: Database, worker: Any, wait_until: Any) -> None:
    for _ in range(2):
        worker(on_queue)
    queued(on_queue, *(batch(float(i), start=i) for i in range(500)))
    wait_until(lambda: len(stored(database)) == 500 and left(on_queue) == 0)
    assert stored(database) == {i: float(i) for i in range(500)}


def test_who_reads_lists_and_watches_runs_is_told_of_what_it_stored(
    on_queue: Any, database: Database, worker: Any, wait_until: Any, valkey_url: str
) -> None:
    """A list that a server has kept is not read again, and a viewer need not wait for the next look."""
    shared = on_queue | {"TRACKER_REDIS_URL": valkey_url}
    with redis.Redis.from_url(valkey_url) as told, told.pubsub() as messages:
        messages.psubscribe("*")
        before = set(told.keys())
        worker(shared)
        queued(on_queue, batch(0.5))
        wait_until(lambda: stored(database))
        wait_until(lambda: set(told.keys()) - before)
        wait_until(lambda: (messages.get_message(timeout=1) or {}).get("type") == "pmessage")
