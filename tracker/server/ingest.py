"""Group commit: points of many clients that arrive together are stored in one transaction.

A commit costs far more than a point, and one writer at a time means that small requests queue for it. Whoever gets to
write takes along everybody who is waiting; they find their work done.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from . import store
from .db import Database


class WayIn:
    """Takes points: into the database (`Ingest`), or into a queue before it (`broker.Publisher`)."""

    stores: bool  # when `add` returns, the points are in the database

    def add(self, run_id: int, points: list[store.points.Row], *, at: int) -> int:
        """Takes the points for good, all or none; how many."""
        raise NotImplementedError

    async def start(self) -> None:
        """Before the first."""

    async def stop(self) -> None:
        """After the last."""


@dataclass
class _Job:
    batch: store.points.Batch
    outcome: int | Exception | None = None  # once it is committed or refused: how many points were stored, or why not


class Ingest(WayIn):
    """The way into the database. Its `add` is called by many threads at once."""

    stores = True

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Job] = []
        self._lock = threading.Lock()  # of the list

    def add(self, run_id: int, points: list[store.points.Row], *, at: int) -> int:
        """Stores the points, all or none, and returns when they are committed; how many were stored.

        Raises NotFound and TooManyPoints, and what the database raises.
        """
        job = _Job(store.points.Batch(run_id, points, at))
        with self._lock:
            self._waiting.append(job)
        with self._database.writing:
            if job.outcome is None:
                with self._lock:
                    jobs, self._waiting = self._waiting, []
                self._store(jobs)
        if isinstance(job.outcome, Exception):
            raise job.outcome
        assert job.outcome is not None
        return job.outcome

    def _store(self, jobs: list[_Job]) -> None:
        outcomes: Sequence[int | Exception]
        try:
            with self._database.transaction() as session:
                outcomes = store.points.add_batches(session, [job.batch for job in jobs])
        except Exception as error:  # of the database: nobody's points were committed, and everybody must know
            outcomes = [error] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.outcome = outcome
