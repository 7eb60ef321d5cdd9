"""Whatever dies, under load: every point that was sent is there once, and the newest of each step has won.

T1 is `tracker serve` on PostgreSQL; T2 has RabbitMQ and `tracker worker` before it. A **load** is our own client in a
loop, and a sender that knows nothing but HTTP and tries again until it hears that its points were taken.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

import tracker
from tracker.client.spool import Spool
from tracker.server.broker import Broker, encode
from tracker.server.store.points import Batch

STEPS = 1500  # of our client, in about two seconds
REQUESTS = 150  # of the other one, in the same time
AGAIN = 50  # each such step is logged wrongly, and then again
TAKEN = {201, 202}
SECONDS = 60.0  # for all to arrive
DIES_BEFORE_AN_ACK = """
import os
from aio_pika import IncomingMessage
ack, acked = IncomingMessage.ack, []
async def die(message, **options):
    acked.append(message)
    if len(acked) == 20: os.kill(os.getpid(), 9)
    await ack(message, **options)
IncomingMessage.ack = die
"""
TELLS_OF_AN_ACK = """
from pathlib import Path
from aio_pika import IncomingMessage
ack = IncomingMessage.ack
async def told(message, **options):
    Path({file!r}).touch()
    await ack(message, **options)
IncomingMessage.ack = told
"""


def metrics(step: int) -> dict[str, float]:
    """What a training logs."""
    return {"loss": step / 7, "val/accuracy": -float(step), "grad": math.nan if step % 3 == 0 else step * 0.5}


def shown(value: float) -> float | str:
    return "NaN" if math.isnan(value) else value


class Load:
    """Two senders that are at it, until they have sent all."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.answers: list[httpx.Response] = []  # to the one of them that we can look into
        self.heard = 0  # of these, how many said that the points were taken
        self._folder = folder
        self._given_up = False
        experiment = httpx.post(f"{url}/experiments", json={"name": "e"}).json()["id"]
        raw = httpx.post(f"{url}/experiments/{experiment}/runs", json={"external_id": "raw"}).json()["id"]
        self._client = threading.Thread(target=self._train)
        self._sender = threading.Thread(target=self._post, args=(raw,))
        self._client.start()
        self._sender.start()

    @property
    def unsent(self) -> int:
        """Bytes that our client has not heard of yet; also what it has not yet written down."""
        with closing(Spool(self._folder / "spool" / "client.jsonl")) as spool:
            return spool.unsent

    def give_up(self) -> None:
        """The test has failed already."""
        self._given_up = True
        self._client.join()
        self._sender.join()

    def end(self) -> None:
        """All is sent, and nothing was refused."""
        for thread in (self._client, self._sender):
            thread.join(SECONDS)
            assert not thread.is_alive()
        deadline = time.monotonic() + SECONDS
        while self.unsent:  # our client's thread goes on by itself
            assert time.monotonic() < deadline, "the client has not delivered everything"
            time.sleep(0.02)
        assert list((self._folder / "spool").glob("*.refused")) == []

    def _train(self) -> None:
        with tracker.init("e", external_id="client", url=self.url, folder=self._folder, strict=True) as run:
            for step in range(STEPS):
                if step % AGAIN == AGAIN - 1:
                    run.log(dict.fromkeys(metrics(step), 1e9), step)
                run.log(metrics(step), step)
                if self._given_up:
                    return
                if step % 15 == 0:
                    time.sleep(0.02)

    def _post(self, run: int) -> None:
        deadline = time.monotonic() + SECONDS
        with httpx.Client(timeout=20) as http:
            for step in range(REQUESTS):
                points = [{"key": "loss", "value": step / 7, "step": step, "at": step}]
                while time.monotonic() < deadline and not self._given_up:
                    try:
                        answer = http.post(f"{self.url}/runs/{run}/metrics", json={"points": points})
                    except httpx.TransportError:
                        time.sleep(0.1)
                        continue
                    self.answers.append(answer)
                    if answer.status_code in TAKEN:
                        self.heard += 1
                        break
                    assert answer.status_code == 503, answer.text
                    assert int(answer.headers["Retry-After"]) > 0
                    time.sleep(0.1)
                time.sleep(0.012)


def runs(url: str) -> dict[str, Any]:
    return {run["external_id"]: run for run in httpx.get(f"{url}/experiments/1/runs").json()["items"]}


def curve(url: str, run: int, key: str) -> list[tuple[int, Any]]:
    answer = httpx.get(f"{url}/runs/{run}/metrics/{key}", params={"max_points": 100_000}, timeout=30)
    found = answer.json() if answer.status_code == 200 else {"steps": [], "values": []}
    return list(zip(found["steps"], found["values"], strict=True))


def expect(url: str, external_id: str, expected: dict[str, list[tuple[int, Any]]], wait_until: Any) -> None:
    """Waits until as many points are there; then these are the points, and the list of runs has the last of each."""
    run = runs(url)[external_id]["id"]
    deadline = time.monotonic() + SECONDS
    for key, points in expected.items():
        while len(found := curve(url, run, key)) < len(points) or found[-1] != points[-1]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert found == points, f"{external_id}: {key}"
    latest = {key: (last["step"], last["value"]) for key, last in runs(url)[external_id]["latest"].items()}
    assert latest == {key: points[-1] for key, points in expected.items()}


def everything(steps: int = STEPS) -> dict[str, list[tuple[int, Any]]]:
    return {key: [(step, shown(metrics(step)[key])) for step in range(steps)] for key in metrics(0)}


@pytest.fixture
def load(tmp_path: Path, wait_until: Any) -> Any:
    """Begins a load at an address. At the end of the block all of it is there, read back from that address."""

    @contextmanager
    def begin(url: str, heard: int = 20) -> Iterator[Load]:
        load = Load(url, tmp_path / "client")
        try:
            wait_until(lambda: load.heard > heard)
            yield load
            load.end()
        except BaseException:
            load.give_up()
            raise
        expect(url, "client", everything(), wait_until)
        expect(url, "raw", {"loss": [(step, step / 7) for step in range(REQUESTS)]}, wait_until)
        assert load.heard == REQUESTS

    return begin


@pytest.fixture(autouse=True)
def _committed_is_written(postgres_tables: str) -> Iterator[None]:
    """The tests' PostgreSQL forgets its last commits when it is killed; here it must not."""
    url = postgres_tables.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres SET synchronous_commit = on")
    yield
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE postgres RESET synchronous_commit")


@pytest.fixture(params=["T1", "T2"])
def tier(request: pytest.FixtureRequest) -> Any:
    """The environment of a server; at T2 a worker is there, too."""
    if request.param == "T1":
        return request.getfixturevalue("on_postgres")
    environment = request.getfixturevalue("on_queue")
    request.getfixturevalue("worker")(environment)
    return environment


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_a_killed_training(tmp_path: Path, on_queue: Any, serve: Any, worker: Any, wait_until: Any) -> None:
    worker(on_queue)
    _, url = serve(tmp_path, 0, **on_queue)
    code = (
        "import os, tracker\n"
        "run = tracker.init('e', external_id='killed')\n"
        "for step in range(1000): run.log({'loss': step, 'grad': float('nan')}, step)\n"
        "os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"TRACKER_URL": url, "TRACKER_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -signal.SIGKILL
    subprocess.run([sys.executable, "-m", "tracker", "sync"], env=environment, check=True, capture_output=True)
    expected = {"loss": [(i, i) for i in range(1000)], "grad": [(i, "NaN") for i in range(1000)]}
    expect(url, "killed", expected, wait_until)


def test_a_killed_server(tmp_path: Path, tier: Any, serve: Any, load: Any) -> None:
    server, url = serve(tmp_path, 0, **tier)
    with load(url):
        server.kill()
        server.wait()
        serve(tmp_path, port_of(url), **tier)


def test_a_worker_killed_between_commit_and_acknowledgement(
    tmp_path: Path, on_queue: Any, serve: Any, worker: Any, load: Any
) -> None:
    victim = worker(on_queue, DIES_BEFORE_AN_ACK)
    worker(on_queue)
    _, url = serve(tmp_path, 0, **on_queue)
    with load(url):
        assert victim.wait(60) == -signal.SIGKILL


def test_a_killed_postgresql(
    tmp_path: Path, tier: Any, serve: Any, load: Any, postgres_server: Any, wait_until: Any
) -> None:
    """Where there is a queue, nobody who sends points notices."""
    _, url = serve(tmp_path, 0, **tier)
    with load(url) as at_work:
        before = at_work.heard
        postgres_server.kill()
        if "TRACKER_QUEUE" in tier:
            wait_until(lambda: at_work.heard > before + 30)
            assert {answer.status_code for answer in at_work.answers} == {202}
        else:
            wait_until(lambda: at_work.answers[-1].status_code == 503)
        postgres_server.restart()


def test_a_killed_rabbitmq(
    tmp_path: Path, on_queue: Any, serve: Any, worker: Any, load: Any, rabbitmq_server: Any, wait_until: Any
) -> None:
    environment = on_queue | {"TRACKER_RABBITMQ_URL": rabbitmq_server.url}
    worker(environment)
    _, url = serve(tmp_path, 0, **environment)
    wait_until(lambda: rabbitmq_server.remembers(f"{environment['TRACKER_QUEUE']}.points"))
    with load(url) as at_work:
        rabbitmq_server.kill()
        wait_until(lambda: at_work.answers[-1].status_code == 503)
        rabbitmq_server.restart()


def test_a_killed_redis(
    tmp_path: Path, on_postgres: Any, serve: Any, load: Any, valkey_url: str, valkey_server: Any, wait_until: Any
) -> None:
    """Lists are read from the database then; whoever has written sees it in them, before, meanwhile and after."""
    environment = on_postgres | {"TRACKER_REDIS_URL": valkey_url}
    (_, url), (_, other) = serve(tmp_path, 0, **environment), serve(tmp_path, 0, **environment)

    def is_right_at_once(address: str, number: int) -> bool:
        run, name = runs(url)["raw"]["id"], f"renamed {number}"
        assert httpx.patch(f"{url}/runs/{run}", json={"name": name}).status_code == 200
        return bool(runs(address)["raw"]["name"] == name)

    with load(url) as at_work:
        assert all(is_right_at_once(address, i) for i in range(5) for address in (url, other))
        valkey_server.kill()
        assert all(is_right_at_once(url, 10 + i) for i in range(10))
        valkey_server.restart()
        assert all(is_right_at_once(url, 20 + i) for i in range(5))
        wait_until(lambda: all(is_right_at_once(other, 30 + i) for i in range(5)))
        assert {answer.status_code for answer in at_work.answers} == {201}


class TestACut:
    """Of the network between the server and its database; the worker's is whole."""

    @pytest.fixture
    def network(self, tier: Any, proxy: Any) -> Any:
        url = make_url(tier["TRACKER_DATABASE_URL"])
        network = proxy(url.port)
        tier["TRACKER_DATABASE_URL"] = url.set(port=network.port).render_as_string(hide_password=False)
        return network

    @pytest.mark.thorough
    def test_of_ten_seconds_in_which_nothing_passes(
        self, tmp_path: Path, network: Any, tier: Any, serve: Any, load: Any
    ) -> None:
        _, url = serve(tmp_path, 0, **tier)
        with load(url):
            network.hold()
            time.sleep(10)  # the length is what is tried
            network.heal()

    def test_that_breaks_connections(
        self, tmp_path: Path, network: Any, tier: Any, serve: Any, load: Any, wait_until: Any
    ) -> None:
        _, url = serve(tmp_path, 0, **tier)
        with load(url) as at_work:
            before = at_work.heard
            network.cut()
            if "TRACKER_QUEUE" in tier:
                wait_until(lambda: at_work.heard > before + 30)
                assert {answer.status_code for answer in at_work.answers} == {202}
            else:
                wait_until(lambda: at_work.answers[-1].status_code == 503)
            network.heal()


@pytest.fixture
def read_only(postgres_server: Any) -> Iterator[Any]:
    """Makes the database one that takes no changes, as after a failover; called with False, or at the end, no more."""

    def change(on: bool = True) -> None:
        with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM {'SET' if on else 'RESET'} default_transaction_read_only{' = on' * on}")
            connection.execute("SELECT pg_reload_conf()")

    yield change
    change(False)


def test_a_database_that_takes_no_changes(
    tmp_path: Path, tier: Any, serve: Any, load: Any, read_only: Any, run_tracker: Any, wait_until: Any
) -> None:
    """No message is to blame for that, and none is put among the dead."""
    _, url = serve(tmp_path, 0, **tier)
    with load(url) as at_work:
        read_only()
        if "TRACKER_QUEUE" in tier:
            log = tmp_path / "worker-0.log"
            wait_until(lambda: "the database cannot store anything" in log.read_text())
            assert run_tracker("dead", "list", **tier).stdout == "tracker: no message is dead\n"
        else:
            wait_until(lambda: at_work.answers[-1].status_code == 503)
        read_only(False)


def publish(environment: Any, *bodies: bytes) -> None:
    async def all_of_them() -> None:
        broker = Broker(environment["TRACKER_RABBITMQ_URL"], environment["TRACKER_QUEUE"], 100_000)
        for body in bodies:
            await broker.publish(broker.points, body)
        await broker.close()

    asyncio.run(all_of_them())


@pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 10))])
def test_messages_that_come_twice_and_in_any_order(
    tmp_path: Path, on_queue: Any, serve: Any, worker: Any, wait_until: Any, seed: int
) -> None:
    _, url = serve(tmp_path, 0, **on_queue)
    experiment = httpx.post(f"{url}/experiments", json={"name": "e"}).json()["id"]
    httpx.post(f"{url}/experiments/{experiment}/runs", json={"external_id": "many"})
    run = runs(url)["many"]["id"]
    messages = [
        encode(Batch(run, [(key, step, value - behind, 10 - behind) for key, value in metrics(step).items()], 0))
        for step in range(200)
        for behind in (0, 1)  # the older, wrong value of each step
    ] * 2
    random.Random(seed).shuffle(messages)
    for _ in range(2):
        worker(on_queue)
    publish(on_queue, *messages)
    wait_until(lambda: left(on_queue) == 0)
    expect(url, "many", everything(200), wait_until)


def left(environment: Any) -> int:
    """How many messages no worker has taken yet."""

    async def count() -> int:
        broker = Broker(environment["TRACKER_RABBITMQ_URL"], environment["TRACKER_QUEUE"], 100_000)
        queue = await (await broker.channel()).declare_queue(broker.points, passive=True)
        await broker.close()
        return queue.declaration_result.message_count or 0

    return asyncio.run(count())


def test_a_message_that_nobody_can_store(
    tmp_path: Path, on_queue: Any, serve: Any, worker: Any, load: Any, run_tracker: Any, wait_until: Any
) -> None:
    survivor = worker(on_queue)
    _, url = serve(tmp_path, 0, **on_queue)
    too_large = b'[1, 1, 0, ["loss"], [0], [1%s], [0]]' % (b"0" * 400)
    with load(url):
        run = runs(url)["raw"]["id"]
        publish(on_queue, b"poison", encode(Batch(run, [("x" * 300, 0, 1.0, 0)], 0)), too_large)
    wait_until(lambda: run_tracker("dead", "list", **on_queue).stdout.count("\n") == 3)
    reasons = run_tracker("dead", "list", **on_queue).stdout
    for reason in ("b'poison': no points can be read from it", "the database refuses it", "too large"):
        assert reason in reasons
    assert survivor.poll() is None


def test_a_full_queue(tmp_path: Path, on_queue: Any, serve: Any, worker: Any, load: Any, wait_until: Any) -> None:
    """The points wait in the client's spool."""
    _, url = serve(tmp_path, 0, **on_queue, TRACKER_QUEUE_LENGTH="25")
    with load(url, heard=3) as at_work:
        wait_until(lambda: at_work.answers[-1].status_code == 503)
        assert "the queue is full" in at_work.answers[-1].json()["detail"]
        wait_until(lambda: at_work.unsent > 10_000)
        worker(on_queue)


def test_two_workers_at_once(
    tmp_path: Path, on_queue: Any, serve: Any, worker: Any, load: Any, wait_until: Any
) -> None:
    marks = [tmp_path / f"worker {number} has acknowledged" for number in (1, 2)]
    for mark in marks:
        worker(on_queue, TELLS_OF_AN_ACK.format(file=str(mark)))
    _, url = serve(tmp_path, 0, **on_queue)
    with load(url):
        wait_until(lambda: all(mark.exists() for mark in marks))


def test_servers_that_are_restarted_one_after_the_other(
    tmp_path: Path, on_queue: Any, valkey_url: str, serve: Any, worker: Any, load: Any, proxy: Any
) -> None:
    """Who talks to whichever of them is there is served all the time; a client that is cut off tries again."""
    environment = on_queue | {"TRACKER_REDIS_URL": valkey_url}
    worker(environment)
    servers = [serve(tmp_path, 0, **environment) for _ in range(2)]
    ports = [port_of(url) for _, url in servers]
    with load(f"http://127.0.0.1:{proxy(*ports).port}") as at_work:
        for (server, _), port in zip(servers, ports, strict=True):
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
            serve(tmp_path, port, **environment)
        assert {answer.status_code for answer in at_work.answers} == {202}
