"""Points on their way in: stored all or none, each exactly once however often it is sent, and kept behind rewinds.

A **rewind** to step s at time t says that the training goes on from a checkpoint taken at s: the points after s that
were logged until t are deleted. It stays on the run as a fence, because some of these points may still be on their way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from pydantic_core import from_json
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from tracker.values import MAX_POINTS, rank

from ..problem import NotFound, Refusal, TooManyPoints
from ..schema import Metric, Run
from .runs import get_run
from .statement import execute
from .upsert import append, upsert

# Besides, it is what two writers of one run wait at: all that follows has the run to itself until the commit.
BEAT = """
UPDATE runs SET heartbeat_at = CASE WHEN :at > coalesce(heartbeat_at, -1) THEN :at ELSE heartbeat_at END,
    last_logged_at = CASE WHEN :newest_at > coalesce(last_logged_at, -1) THEN :newest_at ELSE last_logged_at END
WHERE id = :run_id RETURNING fences
"""
CURVES = "SELECT key, id, last_step, version FROM metrics WHERE run_id = :run_id"
Row = tuple[str, int, float, int]  # a point: key, step, value, logged_at
Placed = tuple[int, int, float, int]  # the same with its curve's id: metric, step, value, logged_at

# As in `upsert`, for the copy on the curve's row; a point that arrives late must not take the place of a newer one.
KEEP_LATEST = """
UPDATE metrics SET last_step = :step, last_value = :value, last_at = :at
WHERE id = :id AND (last_step IS NULL OR :step > last_step OR :step = last_step AND (
      :at > last_at OR :at = last_at AND (last_value IS NULL OR :value > last_value)))
"""
# A changed curve gets the next version of its run, and what was sealed is open again.
TOUCH = "UPDATE metrics SET count = NULL, min = NULL, max = NULL, version = :version WHERE id = :id"
REWIND = """
DELETE FROM points
WHERE metric_id IN (SELECT id FROM metrics WHERE run_id = :run_id) AND step > :step AND logged_at <= :at
"""
FIND_LATEST = """
UPDATE metrics SET (last_step, last_value, last_at) = (
    SELECT step, value, logged_at FROM points WHERE metric_id = metrics.id ORDER BY step DESC LIMIT 1)
WHERE run_id = :run_id
"""


class Curve(NamedTuple):
    """What storing has to know of one."""

    id: int
    end: int  # its last step; -1: it has no points
    version: int


@dataclass(frozen=True)
class Batch:
    """Points of one run, and when the server was given them (ms)."""

    run_id: int
    points: Sequence[Row]
    at: int


def check_size(points: Sequence[Row]) -> None:
    """Raises TooManyPoints."""
    if len(points) > MAX_POINTS:
        raise TooManyPoints(
            f"a request holds at most {MAX_POINTS} points, this one has {len(points)}: send it in parts"
        )


def add_points(session: Session, run_id: int, points: Iterable[Row], *, at: int) -> int:
    """Stores the points, all or none; how many were stored. Raises NotFound and TooManyPoints."""
    (outcome,) = add_batches(session, [Batch(run_id, list(points), at)])
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def add_batches(session: Session, batches: Sequence[Batch]) -> list[int | Refusal]:
    """Stores the points of each batch, all or none, and keeps each curve's newest point on its row. For each: how many
    were stored, or why it was refused (NotFound, TooManyPoints), which leaves the others alone.

    Points behind a rewind are left out. Sending any of them again changes nothing.
    """
    connection = session.connection()
    outcomes: list[int | Refusal] = [0] * len(batches)
    placed: list[Placed] = []
    ends: dict[int, int] = {}  # metric -> the last step that is stored
    versions: dict[int, int] = {}  # metric -> its next
    # By run, as everybody does: two transactions that wait for each other's runs would wait for ever.
    for number, batch in sorted(enumerate(batches), key=lambda numbered: numbered[1].run_id):
        try:
            points = _accepted(connection, batch)
        except Refusal as refusal:
            outcomes[number] = refusal
            continue
        outcomes[number] = len(points)
        keys = set(map(itemgetter(0), points))
        curves = _curves(session, batch.run_id, keys)
        version = 1 + max((curve.version for curve in curves.values()), default=0)
        ids = {key: curves[key].id for key in keys}
        ends |= {curves[key].id: curves[key].end for key in keys}
        versions |= dict.fromkeys(ids.values(), version)
        placed += [(ids[key], step, value, logged_at) for key, step, value, logged_at in points]
    if placed:
        # Sorted by (metric, step), the order of the primary key: fewer pages are touched. NaN is the only value that
        # differs from itself; and SQLite does not keep the sign of a zero, so nobody does.
        rows = sorted((m, step, v + 0.0 if v == v else None, t) for m, step, v, t in _without_repeats(placed))
        # The run is ours until the commit, so beyond the ends of its curves there is nothing, nor will be.
        if beyond := [row for row in rows if row[1] > ends[row[0]]]:
            append(connection, beyond)
        if within := [row for row in rows if row[1] <= ends[row[0]]]:
            upsert(connection, within)
        newest = {row[0]: {"id": row[0], "step": row[1], "value": row[2], "at": row[3]} for row in rows}
        execute(connection, KEEP_LATEST, list(newest.values()))
        execute(connection, TOUCH, [{"id": metric_id, "version": versions[metric_id]} for metric_id in newest])
    return outcomes


def _accepted(connection: Connection, batch: Batch) -> Sequence[Row]:
    """A sign of life of the run, and those points of the batch that are not behind a rewind. Raises what refuses it."""
    check_size(batch.points)
    newest_at = max(map(itemgetter(3), batch.points), default=None)
    beat = {"run_id": batch.run_id, "at": batch.at, "newest_at": newest_at}
    seen = execute(connection, BEAT, beat).one_or_none()
    if seen is None:
        raise NotFound(f"there is no run {batch.run_id}")
    fences = from_json(seen.fences) if isinstance(seen.fences, str) else seen.fences  # SQLite knows text only
    if not fences:
        return batch.points
    return [p for p in batch.points if not any(p[1] > step and p[3] <= until for step, until in fences)]


def _without_repeats(placed: list[Placed]) -> Iterable[Placed]:
    """Of each curve and step only the point of highest rank: one statement may not meet a row twice."""
    if len(set(map(itemgetter(0, 1), placed))) == len(placed):
        return placed
    best: dict[tuple[int, int], Placed] = {}
    for point in placed:
        known = best.setdefault(point[:2], point)
        if rank(*point[2:]) > rank(*known[2:]):
            best[point[:2]] = point
    return best.values()


def rewind(session: Session, run_id: int, *, step: int, until: int) -> Run:
    """The run, without the points after `step` that were logged until then (ms, by the clock that logged them).

    Doing it again changes nothing, and points that it deleted are not accepted again. Raises NotFound.
    """
    run = get_run(session, run_id, lock=True)
    # Of two fences, one that begins earlier and reaches further says all that the other says.
    fences = [fence for fence in run.fences if not (step <= fence[0] and fence[1] <= until)]
    if not any(s <= step and until <= t for s, t in fences):
        fences.append([step, until])
    run.fences = fences
    run.last_logged_at = max(run.last_logged_at or 0, until)
    session.flush()
    connection = session.connection()
    execute(connection, REWIND, {"run_id": run_id, "step": step, "at": until})
    execute(connection, FIND_LATEST, {"run_id": run_id})
    if known := execute(connection, CURVES, {"run_id": run_id}).all():
        version = 1 + max(curve.version for curve in known)
        execute(connection, TOUCH, [{"id": curve.id, "version": version} for curve in known])
    return run


def _curves(session: Session, run_id: int, keys: set[str]) -> dict[str, Curve]:
    """The run's curves by key; those of these keys that are new are made."""
    known = execute(session.connection(), CURVES, {"run_id": run_id})
    curves = {key: Curve(id, -1 if last is None else last, version) for key, id, last, version in known}
    missing = [Metric(run_id=run_id, key=key, version=0) for key in sorted(keys - curves.keys())]
    if missing:
        session.add_all(missing)
        session.flush()
    return curves | {metric.key: Curve(metric.id, -1, 0) for metric in missing}
