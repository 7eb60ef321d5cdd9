import asyncio
from typing import Any

import pytest

from tracker.server.broker import REASON, Broker, encode
from tracker.server.store.points import Batch

GOOD = encode(Batch(7, [("loss", 0, 0.5, 0), ("lr", 0, 0.1, 0)], 0))


@pytest.fixture
def dead(on_queue: Any) -> None:
    async def bury() -> None:
        broker = Broker(on_queue["TRACKER_RABBITMQ_URL"], on_queue["TRACKER_QUEUE"], 1000)
        await broker.publish(broker.dead, b"poison", {REASON: "no points can be read from it"})
        await broker.publish(broker.points, GOOD)
        message = await (await broker.queue(broker.points)).get()
        await message.reject(requeue=False)
        while await broker.count(broker.dead) != 2:
            await asyncio.sleep(0.02)
        await broker.close()

    asyncio.run(bury())


def test_where_no_broker_is_that_is_told(on_postgres: Any, run_tracker: Any) -> None:
    refused = run_tracker("dead", "list", **on_postgres, TRACKER_RABBITMQ_URL="amqp://a:secret@127.0.0.1:1/")
    assert refused.returncode == 1
    assert "TRACKER_RABBITMQ_URL cannot be used" in refused.stderr
    assert "secret" not in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_without_dead_there_is_nothing_to_list(on_queue: Any, run_tracker: Any) -> None:
    assert run_tracker("dead", "list", **on_queue).stdout == "tracker: no message is dead\n"


@pytest.mark.usefixtures("dead")
def test_they_are_listed_with_their_reasons_and_stay(on_queue: Any, run_tracker: Any) -> None:
    for _ in range(2):
        listed = run_tracker("dead", "list", **on_queue)
        assert listed.stdout.splitlines() == [
            "b'poison': no points can be read from it",
            "2 points of run 7: loss, lr: rejected",
        ]


@pytest.mark.usefixtures("dead")
def test_they_get_another_chance(on_queue: Any, run_tracker: Any) -> None:
    assert (
        run_tracker("dead", "requeue", "--limit", "1", **on_queue).stdout
        == "tracker: 1 messages are back in the queue\n"
    )
    assert run_tracker("dead", "requeue", **on_queue).stdout == "tracker: 1 messages are back in the queue\n"
    assert run_tracker("dead", "list", **on_queue).stdout == "tracker: no message is dead\n"


@pytest.mark.usefixtures("dead")
def test_the_doctor_counts_them(on_queue: Any, run_tracker: Any, tmp_path: Any) -> None:
    said = run_tracker("doctor", "--dir", str(tmp_path), **on_queue).stdout
    assert "answers; 0 batches of points wait for a worker, 2 could not be stored" in said
    assert "-> `tracker dead list` says why" in said
    assert on_queue["TRACKER_RABBITMQ_URL"].split(":")[2].partition("@")[0] not in said


def test_the_doctor_misses_a_broker(on_queue: Any, run_tracker: Any, tmp_path: Any) -> None:
    nowhere = on_queue | {"TRACKER_RABBITMQ_URL": "amqp://a:b@127.0.0.1:1/"}
    assert (
        "queue       amqp://a:***@127.0.0.1:1/ does not answer"
        in run_tracker("doctor", "--dir", str(tmp_path), **nowhere).stdout
    )
