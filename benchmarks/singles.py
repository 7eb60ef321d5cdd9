"""Points one by one, from 1, 16 and 64 clients at once, each with a run and a connection of its own.

Raw is one writer, and one point per transaction. After each round every curve is read back: what was acknowledged must
be there, once, and nothing that was not sent.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Protocol

from .figure import Figure
from .raw import Batch, batch, raw
from .rounds import Cost, cost, median, p99, take_turns
from .serving import Connection, Server, serving

CLIENTS = 16
CROWDS = {1: 200, CLIENTS: 60, 64: 20}  # clients -> points of each in a round
RAW = 300  # points of the raw driver in a round
ROUNDS = 4
START = 1_767_225_600_000  # ms, UTC: the time of step 0
UNANSWERED = 0  # in place of a status
LONGEST = 250  # ms, of 99 in 100 requests; of more than CLIENTS at once, each has to wait for the others


class Limit(Protocol):
    """What is beside the tracker: `raw.Raw`, `raw_postgres.Raw`."""

    def new_run(self, keys: Sequence[str]) -> tuple[int, dict[str, int]]:
        """A run, and for each key the id of its curve."""

    def store(self, batch: Batch) -> None:
        """One transaction."""


@dataclass(frozen=True)
class Answer:
    """The status of the answer to a point, and how long (ms) the client waited for it."""

    status: int
    wait: float

    @property
    def is_success(self) -> bool:
        """Whether the point counts as stored."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Round:
    """What all clients together took, how long (ms) each point did, and what went wrong with how many."""

    cost: Cost
    waits: list[float]
    refused: int = 0
    lost: int = 0
    doubled: int = 0


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Points per second, how long a client waits for one, and how many were refused, lost or doubled."""
    with serving(folder / "server") as server, raw(folder / "raw") as limit:
        return crowds(server, limit, "sqlite3", quick)


def crowds(server: Server, limit: Limit, name: str, quick: bool) -> list[Figure]:
    """The lines of the table for a server and what is beside it, which has this name."""
    measured: list[Figure] = []
    for clients, many in CROWDS.items():
        rounds, points = (1, 5) if quick else (ROUNDS, many)
        bodies = [body(step) for step in range(points)]
        done = take_turns(
            f"{clients} clients, {name}",
            rounds,
            {
                "tracker": partial(send, server, bodies, clients),
                "raw": partial(store, limit, points if quick else RAW),
            },
        )
        what = f"single points, {clients} client{'s' * (clients > 1)} / {name}, one writer"
        measured += figures(what, done["tracker"], done["raw"], must_be_quick=clients <= CLIENTS)
    return measured


def figures(what: str, ours: list[Round], least: list[Round], must_be_quick: bool) -> list[Figure]:
    """The lines of the table."""
    waits, raw_waits = ([wait for one in rounds for wait in one.waits] for rounds in (ours, least))
    limit = (f"at most {LONGEST}", p99(waits) <= LONGEST) if must_be_quick else ()
    refused, lost, doubled = (sum(getattr(one, name) for one in ours) for name in ("refused", "lost", "doubled"))
    return [
        Figure(
            what,
            "points per second",
            median([len(one.waits) / one.cost.wall for one in ours]),
            median([len(one.waits) / one.cost.wall for one in least]),
        ),
        Figure(
            what,
            "points per CPU second",
            median([len(one.waits) / one.cost.cpu for one in ours]),
            median([len(one.waits) / one.cost.cpu for one in least]),
        ),
        Figure(what, "ms, median", median(waits), median(raw_waits)),
        Figure(what, "ms, p99", p99(waits), p99(raw_waits), *limit),
        Figure(what, "requests refused", refused, target="none", met=refused == 0, must=True),
        Figure(what, "points lost", lost, target="none", met=lost == 0, must=True),
        Figure(what, "points doubled", doubled, target="none", met=doubled == 0, must=True),
    ]


def send(server: Server, bodies: list[bytes], clients: int = CLIENTS) -> Round:
    """Every client sends its points to a new run; then they are read back."""
    with ExitStack() as stack:
        first, *others = [stack.enter_context(server.connection()) for _ in range(clients)]
        paths = [f"/runs/{first.new_run()}/metrics" for _ in range(clients)]
        answers: list[list[Answer]] = []
        with ThreadPoolExecutor(clients) as threads:
            ready = threading.Barrier(clients)

            def work() -> None:
                answers.extend(threads.map(partial(send_all, ready, bodies), [first, *others], paths))

            spent = cost(work, server.cpu_seconds)
        lost = doubled = 0
        for path, answered in zip(paths, answers, strict=True):
            curve = first.read(f"{path}/loss?max_points=100000")
            stored = Counter(zip(curve["steps"], curve["values"], strict=True))
            sent = [(step, value(step)) for step in range(len(bodies))]
            acknowledged = Counter(point for point, answer in zip(sent, answered, strict=True) if answer.is_success)
            lost += (acknowledged - stored).total()
            doubled += (stored - Counter(sent)).total()
    every = [answer for answered in answers for answer in answered]
    refused = sum(not answer.is_success for answer in every)
    return Round(spent, [answer.wait for answer in every], refused, lost, doubled)


def send_all(ready: threading.Barrier, bodies: list[bytes], connection: Connection, path: str) -> list[Answer]:
    """What one client does, as soon as all are ready."""
    ready.wait()
    answers = []
    for body in bodies:
        start = time.perf_counter()
        try:
            status, _ = connection.send("POST", path, body)
        except (OSError, HTTPException):
            status = UNANSWERED
        answers.append(Answer(status, 1000 * (time.perf_counter() - start)))
    return answers


def store(limit: Limit, points: int) -> Round:
    """Stores as many points past the tracker, in one curve."""
    _, curves = limit.new_run(["loss"])
    ready = [batch([(curves["loss"], step, value(step), START + step)]) for step in range(points)]
    waits = []

    def work() -> None:
        for one in ready:
            start = time.perf_counter()
            limit.store(one)
            waits.append(1000 * (time.perf_counter() - start))

    return Round(cost(work), waits)


def value(step: int) -> float:
    """A number with as many digits as a loss has."""
    return 1 / (step + 1)


def body(step: int) -> bytes:
    """The request with one point."""
    return json.dumps({"points": [{"key": "loss", "value": value(step), "step": step, "at": START + step}]}).encode()
