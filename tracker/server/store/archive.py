"""An experiment as text: all that another tracker needs to have it too, or a table for other programs.

The lines are those of a client's spool (`tracker.client.spool` says what each means), which is why `tracker import` is
nothing but a late `tracker sync`. Points are read one by one, so the length of a run costs time and no memory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tracker.values import ENDED, SPOOL_VERSION, Status, encode

from ..schema import Run
from .curves import nan_of
from .experiments import get_experiment

POINTS = """
SELECT step, logged_at, key, value FROM points JOIN metrics ON metrics.id = metric_id
WHERE run_id = :run_id ORDER BY step, logged_at, key
"""
IN_A_LINE = 1000  # metrics of one line: with keys of any length, they fit into one request
BLOCK = 65_536  # characters that are sent together
AT_ONCE = 1000  # rows that are fetched together
COLUMNS = ("run_id", "run", "key", "step", "value", "at")


def read_lines(session: Session, experiment_id: int) -> Iterator[str]:
    """The experiment as lines of JSON. Raises NotFound, before the first line."""
    experiment = get_experiment(session, experiment_id)
    described = {"name": experiment.name, "description": experiment.description}
    yield _line({"experiment": described, "at": experiment.created_at, "v": SPOOL_VERSION})
    for run in _runs(session, experiment_id):
        yield from _begins(run, experiment.name)
        for step, until in run.fences:
            yield _line({"rewind": step, "at": until})
        for (step, at), points in groupby(_points(session, run), lambda point: point[:2]):
            logged = [(key, encode(value)) for _, _, key, value in points]
            for start in range(0, len(logged), IN_A_LINE):
                yield _line({"log": dict(logged[start : start + IN_A_LINE]), "step": step, "at": at})
        if run.status in ENDED:
            yield _line({"end": run.status, "at": run.finished_at})
        elif run.status == Status.QUEUED and run.attempts:  # it was preempted, and waits to go on
            yield _line({"end": Status.PREEMPTED, "at": run.changed_at})
            yield _line({"end": Status.QUEUED, "at": run.changed_at})


def read_csv(session: Session, experiment_id: int) -> Iterator[str]:
    """The experiment's points as rows of COLUMNS, with a line of titles. Raises NotFound, before the first line."""
    get_experiment(session, experiment_id)
    yield _row(COLUMNS)
    for run in _runs(session, experiment_id):
        for step, at, key, value in _points(session, run):
            yield _row((run.id, run.name, key, step, encode(value), at))


def in_blocks(lines: Iterator[str]) -> Iterator[str]:
    """The same text in fewer parts: to send each line by itself would cost more than to read it."""
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size > BLOCK:
            yield "".join(block)
            block, size = [], 0
    yield "".join(block)


def _begins(run: Run, experiment: str) -> Iterator[str]:
    """A line for each process that ran it; before them one for the time in which it waited for the first."""
    described = {"experiment": experiment, "external_id": run.external_id, "name": run.name, "params": run.params}
    described |= {"tags": run.tags} | ({"job": run.job} if run.job else {})
    if run.started_at is None or run.created_at < run.started_at:
        waits = described | {"status": Status.QUEUED}
        yield _line({"run": waits, "at": run.created_at, "v": SPOOL_VERSION})
    for attempt, since in run.attempts:
        yield _line({"run": described | {"attempt": attempt}, "at": since, "v": SPOOL_VERSION})


def _runs(session: Session, experiment_id: int) -> Iterator[Run]:
    """Oldest first, one by one: an experiment may have more of them than fit into memory."""
    ids = session.scalars(select(Run.id).where(Run.experiment_id == experiment_id).order_by(Run.id)).all()
    for run_id in ids:
        run = session.get_one(Run, run_id)
        yield run
        session.expunge(run)


def _points(session: Session, run: Run) -> Iterator[tuple[int, int, str, float]]:
    """Step, time, key and value of each, by step and time."""
    with session.execute(text(POINTS), {"run_id": run.id}, execution_options={"yield_per": AT_ONCE}) as rows:
        for step, at, key, value in rows:
            yield step, at, key, nan_of(value)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def _row(values: tuple[Any, ...]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(values)
    return written.getvalue()
