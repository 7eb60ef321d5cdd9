"""Curves: one key of one run, read point by point, or in buckets when that would be too many.

A **bucket** is a range of steps of equal width, with the lowest and the highest value in it. Any single spike is the
lowest or the highest of its bucket, so a curve drawn from buckets shows it; one point picked from each would not.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ..problem import NotFound
from ..schema import Experiment, Metric, Point, Run

BUCKETS = """
SELECT min(step), max(step), count(*), count(*) - count(value), min(value), max(value)
FROM points WHERE metric_id = :metric_id AND step BETWEEN :start AND :end
GROUP BY (step - :start) / :width ORDER BY 1
"""
# Of runs that ended while their last points were still in a queue.
SEAL_ENDED = """
UPDATE metrics SET (count, min, max) = (
    SELECT count(*), min(value), max(value) FROM points WHERE metric_id = metrics.id)
WHERE run_id = :run_id AND count IS NULL
  AND EXISTS (SELECT 1 FROM runs WHERE id = :run_id AND finished_at IS NOT NULL)
"""
SEAL = """
UPDATE metrics SET (count, min, max) = (
    SELECT count(*), min(value), max(value) FROM points WHERE metric_id = metrics.id)
WHERE run_id = :run_id AND count IS NULL
"""


def get_metric(session: Session, run_id: int, key: str) -> Metric:
    """The row of a curve. Raises NotFound."""
    metric = session.scalars(select(Metric).where(Metric.run_id == run_id, Metric.key == key)).one_or_none()
    if metric is None:
        if session.get(Run, run_id) is None:
            raise NotFound(f"there is no run {run_id}")
        raise NotFound(f"run {run_id} has logged no {key!r}")
    return metric


def read_curve(
    session: Session, metric: Metric, *, start: int | None = None, end: int | None = None, at_most: int
) -> dict[str, Any]:
    """The curve from step `start` to step `end` (both included), sorted by step: `key`, `version` and columns.

    Up to `at_most` points come as they are (`steps`, `values`, `at`); more come as at most so many buckets (`first` and
    `last` step, `count`, of which `nans`, and `min` and `max` of the others). The cost follows the steps asked for, not
    the length of the curve.
    """
    mine = Point.metric_id == metric.id
    if start is not None:
        mine = mine & (Point.step >= start)
    if end is not None:
        mine = mine & (Point.step <= end)
    query = select(Point.step, Point.value, Point.logged_at).where(mine).order_by(Point.step).limit(at_most + 1)
    points = session.execute(query).all()
    curve: dict[str, Any] = {"key": metric.key, "version": metric.version, "sampled": len(points) > at_most}
    if not curve["sampled"]:
        curve["steps"] = [step for step, _, _ in points]
        curve["values"] = [nan_of(value) for _, value, _ in points]
        curve["at"] = [logged_at for _, _, logged_at in points]
        return curve
    first, last = points[0][0], session.execute(select(func.max(Point.step)).where(mine)).scalar_one()
    bounds = {"start": first, "end": last, "width": -(-(last - first + 1) // at_most)}
    buckets = session.execute(text(BUCKETS), {"metric_id": metric.id, **bounds}).all()
    names = ("first", "last", "count", "nans", "min", "max")
    return curve | {name: [bucket[i] for bucket in buckets] for i, name in enumerate(names)}


def compare(session: Session, run_ids: list[int], key: str, *, at_most: int) -> list[dict[str, Any]]:
    """For each of the runs, `run` (its id), `name`, `experiment` (its name) and `curve`: None where it has not logged
    this key. Raises NotFound for a run that is not there."""
    found = select(Run, Experiment.name).join(Experiment, Run.experiment_id == Experiment.id).where(Run.id.in_(run_ids))
    runs = {run.id: (run, name) for run, name in session.execute(found).all()}
    missing = [run_id for run_id in run_ids if run_id not in runs]
    if missing:
        raise NotFound(f"there is no run {missing[0]}")
    metrics = {
        metric.run_id: metric
        for metric in session.scalars(select(Metric).where(Metric.run_id.in_(run_ids), Metric.key == key))
    }
    return [
        {
            "run": run_id,
            "name": runs[run_id][0].name,
            "experiment": runs[run_id][1],
            "curve": read_curve(session, metrics[run_id], at_most=at_most) if run_id in metrics else None,
        }
        for run_id in run_ids
    ]


def seal(session: Session, run_id: int) -> None:
    """Counts the points of each of the run's curves and keeps lowest and highest on its row; until a later point."""
    session.execute(text(SEAL), {"run_id": run_id})


def seal_ended(session: Session, run_ids: Collection[int]) -> None:
    """The same for those of the runs that have ended."""
    if run_ids:
        session.execute(text(SEAL_ENDED), [{"run_id": run_id} for run_id in sorted(run_ids)])


def nan_of(value: float | None) -> float:
    """What a stored value means."""
    return math.nan if value is None else value


def ping(session: Session) -> None:
    """Raises what the database raises when it cannot be read."""
    session.execute(select(Experiment.id).limit(1)).all()
