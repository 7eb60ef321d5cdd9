"""The queue, in a real RabbitMQ."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from aio_pika.exceptions import DeliveryError
from hypothesis import given
from hypothesis import strategies as st

from tracker.server.broker import AWAY, Broker, decode_batch, encode
from tracker.server.store.points import Batch
from tracker.values import MAX_INTEGER

NUMBER = st.integers(0, MAX_INTEGER)
POINT = st.tuples(st.text(max_size=5), NUMBER, st.floats(), NUMBER)
Answer = TypeVar("Answer")


@given(points=st.lists(POINT, max_size=5), run_id=NUMBER, at=NUMBER)
def test_what_is_written_is_read(points: list[Any], run_id: int, at: int) -> None:
    found = decode_batch(encode(Batch(run_id, points, at)))
    assert (found.run_id, found.at, repr(found.points)) == (run_id, at, repr(points))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        b"null",
        b"[1, 7, 0]",
        b'[1, 7, 0, ["loss"], [0], [0.5], []]',
        b'[1, 7, 0, ["loss"], [0], ["many"], [0]]',
        b'[1, "7", 0, ["loss"], [0], [0.5], [0]]',
        b'[1, 7, 0, ["loss"], [-1], [0.5], [0]]',
        b'[1, 7, 0, ["loss"], [1e300], [0.5], [0]]',
        b"[1, 7, 0, [8], [0], [0.5], [0]]",
        b'[2, 7, 0, ["loss"], [0], [0.5], [0]]',
        b'[1, 7, 0, ["loss"], [0], [1%s], [0]]' % (b"0" * 400),
    ],
)
def test_what_holds_no_points_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no points can be read from it|its points are none|it is of version 2"):
        decode_batch(body)


def run(url: str, prefix: str, act: Callable[[Broker], Coroutine[Any, Any, Answer]], length: int = 1000) -> Answer:
    async def connected() -> Answer:
        broker = Broker(url, prefix, length)
        try:
            return await act(broker)
        finally:
            await broker.close()

    return asyncio.run(connected())


def test_where_no_broker_is_that_is_said(queue_prefix: str) -> None:
    with pytest.raises(AWAY):
        run("amqp://a:b@127.0.0.1:1/", queue_prefix, lambda broker: broker.publish(broker.points, b""))


def test_a_full_queue_refuses_what_comes_and_keeps_what_it_has(rabbitmq_url: str, queue_prefix: str) -> None:
    async def fill(broker: Broker) -> tuple[int, list[bytes]]:
        taken = 0
        try:
            while taken < 500:
                await broker.publish(broker.points, b"%d" % taken)
                taken += 1
        except DeliveryError:
            pass
        queue = await broker.queue(broker.points)
        return taken, [(await queue.get()).body for _ in range(taken)]

    taken, kept = run(rabbitmq_url, queue_prefix, fill, length=20)
    assert 20 <= taken < 500
    assert kept == [b"%d" % i for i in range(taken)]


def test_a_broken_connection_is_made_again(rabbitmq_url: str, queue_prefix: str) -> None:
    async def twice(broker: Broker) -> int:
        await broker.publish(broker.points, b"one")
        assert broker._connection
        await broker._connection.close()
        await broker.publish(broker.points, b"two")
        return (
            await (await broker.channel()).declare_queue(broker.points, passive=True)
        ).declaration_result.message_count or 0

    assert run(rabbitmq_url, queue_prefix, twice) == 2


def test_a_queue_of_other_bounds_is_used_as_it_is(rabbitmq_url: str, queue_prefix: str) -> None:
    for length in (1000, 2000):
        run(rabbitmq_url, queue_prefix, lambda broker: broker.publish(broker.points, b""), length)


def test_a_deleted_queue_is_declared_again(rabbitmq_url: str, queue_prefix: str) -> None:
    async def twice(broker: Broker) -> None:
        await broker.publish(broker.points, b"one")
        await (await broker.channel()).queue_delete(broker.points)
        with pytest.raises(AWAY, match="there is no queue"):
            await broker.publish(broker.points, b"two")
        await broker.publish(broker.points, b"three")
        assert (await (await broker.queue(broker.points)).get()).body == b"three"

    run(rabbitmq_url, queue_prefix, twice)


def new_run(url: str) -> int:
    experiment = httpx.post(f"{url}/experiments", json={"name": "e"}).json()
    made: int = httpx.post(f"{url}/experiments/{experiment['id']}/runs", json={}).json()["id"]
    return made


def points(*values: float | str) -> dict[str, Any]:
    return {"series": {"loss": {"steps": list(range(len(values))), "values": values}}}


class TestTheWayIn:
    def test_what_the_queue_would_not_take_is_refused(self, tmp_path: Path, on_queue: Any, serve: Any) -> None:
        _, url = serve(tmp_path, 0, **on_queue)
        run_id = new_run(url)
        assert httpx.post(f"{url}/runs/{run_id + 1}/metrics", json=points(0.5)).status_code == 404
        assert httpx.post(f"{url}/runs/{run_id}/metrics", json=points(*[0.5] * 10_001)).status_code == 413
        assert httpx.post(f"{url}/runs/{run_id}/metrics", json=points("many")).status_code == 422

    def test_without_the_broker_points_are_refused_for_now_and_all_else_works(
        self, tmp_path: Path, on_postgres: Any, serve: Any
    ) -> None:
        _, url = serve(tmp_path, 0, **on_postgres, TRACKER_RABBITMQ_URL="amqp://a:b@127.0.0.1:1/")
        answer = httpx.post(f"{url}/runs/{new_run(url)}/metrics", json=points(0.5))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert answer.json()["detail"] == "the queue did not answer: keep the points, and send them again later"

    def test_the_queue_is_there_before_the_first_point(
        self, tmp_path: Path, on_queue: Any, serve: Any, rabbitmq_server: Any, wait_until: Any
    ) -> None:
        """A new one is lost with a broker that dies, for about a second."""
        serve(tmp_path, 0, **on_queue | {"TRACKER_RABBITMQ_URL": rabbitmq_server.url})
        wait_until(lambda: rabbitmq_server.remembers(f"{on_queue['TRACKER_QUEUE']}.points"))

    def test_a_full_queue_is_503(self, tmp_path: Path, on_queue: Any, serve: Any) -> None:
        _, url = serve(tmp_path, 0, **on_queue, TRACKER_QUEUE_LENGTH="5")
        run_id = new_run(url)
        answers = [httpx.post(f"{url}/runs/{run_id}/metrics", json=points(0.5)) for _ in range(40)]
        assert {answer.status_code for answer in answers} == {202, 503}
        assert answers[-1].headers["Retry-After"] == "2"
        assert "the queue is full" in answers[-1].json()["detail"]

    def test_what_is_accepted_is_stored_by_a_worker(
        self, tmp_path: Path, on_queue: Any, serve: Any, worker: Any, wait_until: Any
    ) -> None:
        _, url = serve(tmp_path, 0, **on_queue)
        run_id = new_run(url)
        answer = httpx.post(f"{url}/runs/{run_id}/metrics", json=points(0.5, "NaN", "-Infinity"))
        assert (answer.status_code, answer.json()) == (202, {"accepted": 3})
        worker(on_queue)
        wait_until(lambda: httpx.get(f"{url}/runs/{run_id}/metrics/loss").status_code == 200)
        assert httpx.get(f"{url}/runs/{run_id}/metrics/loss").json()["values"] == [0.5, "NaN", "-Infinity"]


def test_without_a_shared_database_there_is_no_queue(tmp_path: Path, run_tracker: Any) -> None:
    refused = run_tracker("serve", "--dir", str(tmp_path), TRACKER_RABBITMQ_URL="amqp://127.0.0.1/")
    assert refused.returncode == 1
    assert "set TRACKER_DATABASE_URL, too" in refused.stderr
    refused = run_tracker("worker")
    assert (refused.returncode, "there is no queue: set TRACKER_RABBITMQ_URL" in refused.stderr) == (1, True)
