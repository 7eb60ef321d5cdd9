"""Group commit: points of many clients that arrive together are stored in one transaction.

A commit costs far more than a point, and one writer at a time means that small requests queue for it. Whoever gets to
write takes along everybody who is waiting; they find their work done.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from . import store
from .db import Database
from .problem import Refusal


@dataclass
class _Job:
    run_id: int
    points: list[store.points.Row]
    at: int
    stored: int | None = None  # how many, once they are committed
    refusal: Exception | None = None


class Ingest:
    """The way in for points. Its `add` is called by many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Job] = []
        self._lock = threading.Lock()  # of the list

    def add(self, run_id: int, points: list[store.points.Row], *, at: int) -> int:
        """Stores the points, all or none, and returns when they are committed; how many were stored.

        Raises NotFound and TooManyPoints, and what the database raises.
        """
        job = _Job(run_id, points, at)
        with self._lock:
            self._waiting.append(job)
        with self._database.writing:
            if job.stored is None and job.refusal is None:
                with self._lock:
                    jobs, self._waiting = self._waiting, []
                self._store(jobs)
        if job.refusal:
            raise job.refusal
        assert job.stored is not None
        return job.stored

    def _store(self, jobs: list[_Job]) -> None:
        """`add_points` refuses before it writes, so a refused job leaves nothing behind in the others' transaction."""
        stored: dict[int, int] = {}
        try:
            with self._database.transaction() as session:
                # By run, as everybody does: two transactions that wait for each other's runs would wait for ever.
                for number, job in sorted(enumerate(jobs), key=lambda numbered: numbered[1].run_id):
                    try:
                        stored[number] = store.points.add_points(session, job.run_id, job.points, at=job.at)
                    except Refusal as refusal:
                        job.refusal = refusal
        except Exception as error:  # of the database: nobody's points were committed, and everybody must know
            for job in jobs:
                job.refusal = job.refusal or error
            return
        for number, count in stored.items():
            jobs[number].stored = count
