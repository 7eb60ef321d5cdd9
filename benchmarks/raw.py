"""The raw driver: Python's sqlite3 on the tracker's own tables, with the tracker's own pragmas and statements.

It is given rows that are ready and does nothing but execute: no request, no check, no look-up, no JSON. What it needs
is the least that storing or reading the same rows can cost through this driver.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.server.db import Database, sqlite
from tracker.server.migrations import migrate
from tracker.server.schema import Metric
from tracker.server.store import experiments, runs
from tracker.server.store.points import KEEP_LATEST, TOUCH
from tracker.server.store.upsert import EACH
from tracker.values import now_ms


@dataclass(frozen=True)
class Batch:
    """What one transaction stores: the parameters of the three statements."""

    points: list[tuple[int, int, float, int]]  # metric, step, value, time; sorted as the table is
    newest: list[dict[str, Any]]


class Raw:
    """One connection to a database of the tracker."""

    def __init__(self, database: Database, connection: sqlite3.Connection) -> None:
        self._database = database
        self._connection = connection
        self._version = 0  # rises with each batch, whichever run it is of

    def new_run(self, keys: Sequence[str]) -> tuple[int, dict[str, int]]:
        """A run, and for each key the id of its curve."""
        return new_run(self._database, keys)

    def store(self, batch: Batch) -> None:
        """One transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(EACH, batch.points)
        self._connection.executemany(KEEP_LATEST, batch.newest)
        self._version += 1
        self._connection.executemany(TOUCH, [{"id": row["id"], "version": self._version} for row in batch.newest])
        self._connection.execute("COMMIT")

    def fetch(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Every row that the statement finds."""
        return self._connection.execute(statement, parameters).fetchall()


@contextmanager
def raw(folder: Path) -> Iterator[Raw]:
    """A connection to the tracker.db of the folder, which is made where there is none."""
    folder.mkdir(exist_ok=True)
    database = Database(sqlite(folder / "tracker.db"))
    migrate(database)
    pooled = database.engine.raw_connection()
    try:
        assert isinstance(pooled.driver_connection, sqlite3.Connection)
        yield Raw(database, pooled.driver_connection)
    finally:
        pooled.close()
        database.close()


def new_run(database: Database, keys: Sequence[str]) -> tuple[int, dict[str, int]]:
    """A run, and for each key the id of its curve."""
    with database.write() as session:
        if not experiments.list_experiments(session).items:
            experiments.create_experiment(session, "benchmark", "", now_ms())
        run, _ = runs.create_run(session, 1, at=now_ms())
        curves = [Metric(run_id=run.id, key=key, version=0) for key in keys]
        session.add_all(curves)
        session.flush()
        return run.id, {curve.key: curve.id for curve in curves}


def batch(points: Sequence[tuple[int, int, float, int]]) -> Batch:
    """The parameters for points of one run, each of them newer than what is stored."""
    points = sorted(points)
    newest = {metric_id: {"id": metric_id, "step": s, "value": v, "at": t} for metric_id, s, v, t in points}
    return Batch(points, list(newest.values()))
