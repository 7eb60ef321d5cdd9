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
from tracker.server.config import Settings
from tracker.server.dead import list_dead
from tracker.server.store.points import Batch

STEPS = 1500  # of our client, in about two seconds
REQUESTS = 120  # of the other one, in the same time
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


HTTP = httpx.Client(timeout=30)  # to make one takes longer than to ask


@pytest.fixture(autouse=True, scope="module")
def _hang_up() -> Iterator[None]:
    yield
    HTTP.close()


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
        experiment = HTTP.post(f"{url}/experiments", json={"name": "e"}).json()["id"]
        raw = HTTP.post(f"{url}/experiments/{experiment}/runs", json={"external_id": "raw"}).json()["id"]
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
    return {run["external_id"]: run for run in HTTP.get(f"{url}/experiments/1/runs").json()["items"]}


def curve(url: str, run: int, key: str) -> list[tuple[int, Any]]:
    answer = HTTP.get(f"{url}/runs/{run}/metrics/{key}", params={"max_points": 100_000})
    found = answer.json() if answer.status_code == 200 else {"steps": [], "values": []}
    return list(zip(found["steps"], found["values"], strict=True))


def expect(url: str, external_id: str, expected: dict[str, list[tuple[int, Any]]]) -> None:
    """Waits until these points are there, and no others; then the list of runs has the last of each curve."""
    run = runs(url)[external_id]["id"]
    deadline = time.monotonic() + SECONDS
    for key, points in expected.items():
        while (found := curve(url, run, key)) != points and time.monotonic() < deadline:
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
        expect(url, "client", everything())
        expect(url, "raw", {"loss": [(step, step / 7) for step in range(REQUESTS)]})
        assert load.heard == REQUESTS

    return begin


@pytest.fixture(autouse=True)
def _committed_is_written(postgres_server: Any, postgres_tables: str) -> Iterator[None]:
    """The tests' PostgreSQL forgets its last commits when it is killed; here it must not."""
    url = postgres_tables.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE migrated SET synchronous_commit = on")
    yield
    if not postgres_server.answers():  # the test has failed before it was there again
        postgres_server.restart()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE migrated RESET synchronous_commit")


@pytest.fixture(params=["T1", "T2"])
def tier(request: pytest.FixtureRequest) -> Any:
    """The environment of a server; at T2 a worker is there, too."""
    if request.param == "T1":
        return request.getfixturevalue("on_postgres")
    environment = request.getfixturevalue("on_queue")
    request.getfixturevalue("worker")(environment)
    return environment


@pytest.fixture
def api(tmp_path: Path, answering: Any) -> Any:
    """A server of this environment, in a thread of this process: for those who do not kill it."""

    @contextmanager
    def begin(environment: Any) -> Iterator[str]:
        with answering(Settings.from_environment({"TRACKER_DIR": str(tmp_path)} | environment)) as server:
            yield server.url

    return begin


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_a_killed_training(tmp_path: Path, on_queue: Any, serve: Any, worker: Any) -> None:
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
    expect(url, "killed", {"loss": [(i, i) for i in range(1000)], "grad": [(i, "NaN") for i in range(1000)]})


def test_a_killed_server(tmp_path: Path, tier: Any, serve: Any, load: Any) -> None:
    server, url = serve(tmp_path, 0, **tier)
    with load(url):
        server.kill()
        server.wait()
        serve(tmp_path, port_of(url), **tier)


def test_a_worker_killed_between_commit_and_acknowledgement(on_queue: Any, api: Any, worker: Any, load: Any) -> None:
    victim = worker(on_queue, DIES_BEFORE_AN_ACK)
    worker(on_queue)
    with api(on_queue) as url, load(url):
        assert victim.wait(60) == -signal.SIGKILL


def test_a_killed_postgresql(tier: Any, api: Any, load: Any, postgres_server: Any, wait_until: Any) -> None:
    """Where there is a queue, nobody who sends points notices."""
    with api(tier) as url, load(url) as at_work:
        before = at_work.heard
        postgres_server.kill()
        if "TRACKER_QUEUE" in tier:
            wait_until(lambda: at_work.heard > before + 30)
            assert {answer.status_code for answer in at_work.answers} == {202}
        else:
            wait_until(lambda: at_work.answers[-1].status_code == 503)
        postgres_server.restart()


def test_a_killed_rabbitmq(
    on_queue: Any, api: Any, worker: Any, load: Any, rabbitmq_server: Any, wait_until: Any
) -> None:
    environment = on_queue | {"TRACKER_RABBITMQ_URL": rabbitmq_server.url}
    worker(environment)
    wait_until(lambda: rabbitmq_server.remembers(f"{environment['TRACKER_QUEUE']}.points"))
    with api(environment) as url, load(url) as at_work:
        rabbitmq_server.kill()
        wait_until(lambda: at_work.answers[-1].status_code == 503)
        rabbitmq_server.restart()


def test_a_killed_redis(
    on_postgres: Any, api: Any, load: Any, valkey_url: str, valkey_server: Any, wait_until: Any
) -> None:
    """Lists are read from the database then; whoever has written sees it in them, before, meanwhile and after."""
    environment = on_postgres | {"TRACKER_REDIS_URL": valkey_url}

    def is_right_at_once(address: str, number: int) -> bool:
        run, name = runs(url)["raw"]["id"], f"renamed {number}"
        assert HTTP.patch(f"{url}/runs/{run}", json={"name": name}).status_code == 200
        return bool(runs(address)["raw"]["name"] == name)

    with api(environment) as url, api(environment) as other, load(url) as at_work:
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
    @pytest.mark.parametrize("tier", ["T1", pytest.param("T2", marks=pytest.mark.slow)], indirect=True)
    def test_of_ten_seconds_in_which_nothing_passes(self, network: Any, tier: Any, api: Any, load: Any) -> None:
        with api(tier) as url, load(url), network.held():
            time.sleep(10)  # the length is what is tried

    def test_that_breaks_connections(self, network: Any, tier: Any, api: Any, load: Any, wait_until: Any) -> None:
        with api(tier) as url, load(url) as at_work, network.cut():
            before = at_work.heard
            if "TRACKER_QUEUE" in tier:
                wait_until(lambda: at_work.heard > before + 30)
                assert {answer.status_code for answer in at_work.answers} == {202}
            else:
                wait_until(lambda: at_work.answers[-1].status_code == 503)


@pytest.fixture
def read_only(postgres_server: Any) -> Any:
    """The database takes no changes meanwhile, as that of a standby."""

    def say(statement: str) -> None:
        with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM {statement}")
            connection.execute("SELECT pg_reload_conf()")

    @contextmanager
    def begin() -> Iterator[None]:
        say("SET default_transaction_read_only = on")
        try:
            yield
        finally:
            say("RESET default_transaction_read_only")

    return begin


def test_a_database_that_takes_no_changes(
    tmp_path: Path, tier: Any, api: Any, load: Any, read_only: Any, wait_until: Any
) -> None:
    """No message is to blame for that, and none is put among the dead."""
    with api(tier) as url, load(url) as at_work, read_only():
        if "TRACKER_QUEUE" in tier:
            log = tmp_path / "worker-0.log"
            wait_until(lambda: "the database cannot store anything" in log.read_text())
            assert list_dead(Settings.from_environment(tier), 10) == []
        else:
            wait_until(lambda: at_work.answers[-1].status_code == 503)


def publish(environment: Any, *bodies: bytes) -> None:
    async def all_of_them() -> None:
        broker = Broker(environment["TRACKER_RABBITMQ_URL"], environment["TRACKER_QUEUE"], 100_000)
        for body in bodies:
            await broker.publish(broker.points, body)
        await broker.close()

    asyncio.run(all_of_them())


@pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 10))])
def test_messages_that_come_twice_and_in_any_order(
    on_queue: Any, api: Any, worker: Any, wait_until: Any, seed: int
) -> None:
    worker(on_queue)
    with api(on_queue) as url:
        HTTP.post(f"{url}/experiments", json={"name": "e"})
        run = HTTP.post(f"{url}/experiments/1/runs", json={"external_id": "many"}).json()["id"]
        messages = [
            encode(Batch(run, [(key, step, value - behind, 10 - behind) for key, value in metrics(step).items()], 0))
            for step in range(200)
            for behind in (0, 1)  # the older, wrong value of each step
        ] * 2
        random.Random(seed).shuffle(messages)
        publish(on_queue, *messages)
        wait_until(lambda: unread(on_queue) == 0)
        expect(url, "many", everything(200))


def unread(environment: Any) -> int:
    """How many messages no worker has taken yet."""

    async def count() -> int:
        broker = Broker(environment["TRACKER_RABBITMQ_URL"], environment["TRACKER_QUEUE"], 100_000)
        queue = await (await broker.channel()).declare_queue(broker.points, passive=True)
        await broker.close()
        return queue.declaration_result.message_count or 0

    return asyncio.run(count())


def test_a_message_that_nobody_can_store(
    on_queue: Any, api: Any, worker: Any, load: Any, run_tracker: Any, wait_until: Any
) -> None:
    survivor = worker(on_queue)
    too_large = b'[1, 1, 0, ["loss"], [0], [1%s], [0]]' % (b"0" * 400)
    with api(on_queue) as url, load(url):
        run = runs(url)["raw"]["id"]
        publish(on_queue, b"poison", encode(Batch(run, [("x" * 300, 0, 1.0, 0)], 0)), too_large)
        wait_until(lambda: len(list_dead(Settings.from_environment(on_queue), 10)) == 3)
    listed = run_tracker("dead", "list", **on_queue).stdout
    for reason in ("b'poison': no points can be read from it", "the database refuses it", "too large"):
        assert reason in listed
    assert listed.count("\n") == 3
    assert survivor.poll() is None


def test_a_full_queue(on_queue: Any, api: Any, worker: Any, load: Any, wait_until: Any) -> None:
    """The points wait in the client's spool."""
    with api(on_queue | {"TRACKER_QUEUE_LENGTH": "25"}) as url, load(url, heard=3) as at_work:
        wait_until(lambda: at_work.answers[-1].status_code == 503)
        assert "the queue is full" in at_work.answers[-1].json()["detail"]
        wait_until(lambda: at_work.unsent > 10_000)
        worker(on_queue)


def test_two_servers_and_two_workers_when_the_servers_are_restarted_one_after_the_other(
    tmp_path: Path, on_queue: Any, valkey_url: str, serve: Any, worker: Any, load: Any, proxy: Any, wait_until: Any
) -> None:
    """Who talks to whichever of them is there is served all the time; a client that is cut off tries again."""
    environment = on_queue | {"TRACKER_REDIS_URL": valkey_url}
    marks = [tmp_path / f"worker {number} has acknowledged" for number in (1, 2)]
    for mark in marks:
        worker(environment, TELLS_OF_AN_ACK.format(file=str(mark)))
    servers = [serve(tmp_path, 0, **environment) for _ in range(2)]
    ports = [port_of(url) for _, url in servers]
    with load(f"http://127.0.0.1:{proxy(*ports).port}") as at_work:
        for (server, _), port in zip(servers, ports, strict=True):
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
            serve(tmp_path, port, **environment)
        assert {answer.status_code for answer in at_work.answers} == {202}
        wait_until(lambda: all(mark.exists() for mark in marks))
