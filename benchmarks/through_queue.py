"""The queue before PostgreSQL: what is accepted, what one worker stores, and how long a point is under way.

Four clients send batches of 1,000 points in columns, all at once, to a server with a queue and to one without. Accepted
is what the last 202 has confirmed, stored what the worker has committed when the last point can be read; every curve is
read back. Then one client sends at half the rate at which the worker stored, and each batch is waited for from its 202
until its last point stands in the database, where all readers read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg

from workbook.labs.rabbitmq import RabbitMQ

from .batches import KEYS, SIZE, STEPS, check, columns
from .figure import Figure, WrongAnswer
from .on_postgres import database
from .rounds import median, p99, take_turns, tell
from .serving import Connection, Server, serving, working

CLIENTS = 4
ROUNDS, BATCHES = 3, 60  # batches of one client in a round
PACED = 300  # batches, at half the rate
PATIENCE = 120.0  # s that the worker has for what was accepted
GAP = 0.001  # s between two looks into the database

Look = Callable[[int], int]  # the last step of a run that is stored


@dataclass(frozen=True)
class Round:
    """How many seconds it took until all was accepted, and until all was stored."""

    accepted: float
    stored: float


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Points per second, and milliseconds until they can be read. Raises NoService."""
    rounds, batches, paced = (1, 2, 2) if quick else (ROUNDS, BATCHES, PACED)
    bodies = [columns(number) for number in range(max(batches, paced))]
    with ExitStack() as stack:
        enter = stack.enter_context
        kept, settings = enter(database())
        queued = settings | {"TRACKER_RABBITMQ_URL": enter(RabbitMQ()).url}
        servers = {
            "with": enter(serving(folder / "with", queued)),
            "without": enter(serving(folder / "without", settings)),
        }
        enter(working(folder / "worker", queued))
        url = kept.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        look = partial(last_step, enter(psycopg.connect(url, autocommit=True)))
        done = take_turns(
            "queue", rounds, {way: partial(burst, server, bodies[:batches], look) for way, server in servers.items()}
        )
        points = CLIENTS * SIZE * batches
        accepted, without = (median([points / one.accepted for one in done[way]]) for way in servers)
        stored = median([points / one.stored for one in done["with"]])
        tell("queue: at half the rate")
        lags = lags_of(servers["with"], bodies[:paced], 2 * SIZE / stored, look)
    what = f"batches of {SIZE:,} points through a queue, {CLIENTS} clients / PostgreSQL without it"
    return [
        Figure(what, "points accepted per second", accepted, without),
        Figure(what, "points stored per second, one worker", stored, without),
        Figure(what, "ms until readable at half that rate, median", median(lags)),
        Figure(what, "ms until readable at half that rate, p99", p99(lags)),
    ]


def burst(server: Server, bodies: list[bytes], look: Look) -> Round:
    """Every client sends its batches to a new run; then all of them are waited for and read back."""
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connection()) for _ in range(CLIENTS)]
        runs = [clients[0].new_run() for _ in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as threads:
            start = time.perf_counter()
            list(threads.map(partial(send, bodies), clients, runs))
            accepted = time.perf_counter() - start
        for run in runs:
            wait_for(look, run, STEPS * len(bodies) - 1)
        stored = time.perf_counter() - start
        for run in runs:
            check(clients[0], f"/runs/{run}/metrics", len(bodies))
    return Round(accepted, stored)


def send(bodies: list[bytes], connection: Connection, run: int) -> None:
    """What one client does."""
    for body in bodies:
        connection.post(f"/runs/{run}/metrics", body)


def lags_of(server: Server, bodies: list[bytes], pace: float, look: Look) -> list[float]:
    """Milliseconds between the answer to each batch and its last point; one batch is sent each `pace` seconds."""
    accepted: list[float] = []
    with server.connection() as connection:
        run = connection.new_run()

        def work() -> None:
            start = time.perf_counter()
            for number, body in enumerate(bodies):
                time.sleep(max(0.0, start + number * pace - time.perf_counter()))
                connection.post(f"/runs/{run}/metrics", body)
                accepted.append(time.perf_counter())

        sender = threading.Thread(target=work)
        sender.start()
        readable = []
        for number in range(len(bodies)):
            wait_for(look, run, STEPS * (number + 1) - 1)
            readable.append(time.perf_counter())
        sender.join()
        check(connection, f"/runs/{run}/metrics", len(bodies))
    return [1000 * max(0.0, seen - said) for seen, said in zip(readable, accepted, strict=True)]


def wait_for(look: Look, run: int, step: int) -> None:
    """Returns when the run has stored this step of its curves. Raises WrongAnswer if it does not come to that."""
    deadline = time.monotonic() + PATIENCE
    while look(run) < step:
        if time.monotonic() > deadline:
            raise WrongAnswer(f"run {run} has not all points that were accepted for it")
        time.sleep(GAP)


def last_step(connection: psycopg.Connection, run: int) -> int:
    """Of the curve that is furthest behind; -1 as long as one has none."""
    query = "SELECT count(last_step), min(last_step) FROM metrics WHERE run_id = %s"
    found = connection.execute(query, [run]).fetchone()
    return int(found[1]) if found and found[0] == len(KEYS) else -1
