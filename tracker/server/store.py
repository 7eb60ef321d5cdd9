"""Every SQL statement of the tracker.

Each function is given a session whose transaction somebody else began and will end (`Database.read`, `Database.write`),
so that one request is one transaction. Experiments and runs are ORM objects, few and edited one by one. Points come by
the thousand and are never objects: `add_points` hands plain tuples to the driver.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tracker.values import ENDED, MAX_POINTS, TRANSITIONS, Status, rank

from .schema import Experiment, Metric, Point, Run
from .wire import IllegalTransition, NameTaken, NotFound, TooManyPoints

PAGE = 50  # rows of a list, where the request does not say

Row = tuple[str, int, float, int]  # a point: key, step, value, logged_at

# A point that is there already gives way to one of higher `values.rank`.
UPSERT = """
INSERT INTO points (metric_id, step, value, logged_at) VALUES (?, ?, ?, ?)
ON CONFLICT (metric_id, step) DO UPDATE SET value = excluded.value, logged_at = excluded.logged_at
WHERE excluded.logged_at > points.logged_at
   OR excluded.logged_at = points.logged_at AND (points.value IS NULL OR excluded.value > points.value)
"""
# The same rule for the copy on the curve's row; a point that arrives late must not take the place of a newer one.
KEEP_LATEST = """
UPDATE metrics SET last_step = :step, last_value = :value, last_at = :at
WHERE id = :id AND (last_step IS NULL OR :step > last_step OR :step = last_step AND (
      :at > last_at OR :at = last_at AND (last_value IS NULL OR :value > last_value)))
"""
TOUCH = """
UPDATE metrics SET count = NULL, min = NULL, max = NULL,
       version = (SELECT max(version) FROM metrics WHERE run_id = :run_id) + 1
WHERE run_id = :run_id AND id IN (SELECT value FROM json_each(:ids))
"""


@dataclass
class Listed:
    """A page of rows, and the id of the last one if there are more."""

    rows: list[Any]
    last_id: int | None


def _listed(rows: Sequence[Any], limit: int) -> Listed:
    """`rows` were asked for with `limit + 1`: the one too many says that there is a next page."""
    page = list(rows[:limit])
    return Listed(page, page[-1].id if len(rows) > limit else None)


# --- experiments


def create_experiment(session: Session, name: str, description: str, at: int) -> Experiment:
    """A new experiment. Raises NameTaken.

    There is no look-up before the insert: between the two, somebody else could take the name. The database's unique
    constraint is the only judge that sees everybody.
    """
    experiment = Experiment(name=name, description=description, created_at=at)
    session.add(experiment)
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(f"an experiment named {name!r} exists already; GET /experiments?name=... finds it") from None
    return experiment


def get_experiment(session: Session, experiment_id: int) -> Experiment:
    """The experiment. Raises NotFound."""
    experiment = session.get(Experiment, experiment_id)
    if experiment is None:
        raise NotFound(f"there is no experiment {experiment_id}")
    return experiment


def list_experiments(
    session: Session, *, name: str | None = None, below: int | None = None, limit: int = PAGE
) -> Listed:
    """Experiments, newest first, each with its `run_count`; the one called `name`; those with an id below `below`."""
    query = select(Experiment).order_by(Experiment.id.desc()).limit(limit + 1)
    if name is not None:
        query = query.where(Experiment.name == name)
    if below is not None:
        query = query.where(Experiment.id < below)
    listed = _listed(session.scalars(query).all(), limit)
    counted = (
        select(Run.experiment_id, func.count())
        .where(Run.experiment_id.in_([e.id for e in listed.rows]))
        .group_by(Run.experiment_id)
    )
    counts = dict(session.execute(counted).all())
    for experiment in listed.rows:
        experiment.run_count = counts.get(experiment.id, 0)
    return listed


# --- runs


def create_run(
    session: Session,
    experiment_id: int,
    *,
    external_id: str | None = None,
    attempt: str | None = None,
    name: str | None = None,
    status: Status = Status.RUNNING,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    at: int,
) -> tuple[Run, bool]:
    """The run and whether it is new. Raises NotFound for the experiment.

    A run that has this `external_id` is resumed: it keeps its name and params, and runs again. The same `attempt`
    asking twice (an answer that got lost) is no restart.
    """
    get_experiment(session, experiment_id)
    if external_id is not None:
        query = select(Run).where(Run.experiment_id == experiment_id, Run.external_id == external_id)
        run = session.scalars(query.with_for_update()).one_or_none()
        if run is not None:
            if attempt is None or attempt != run.attempt:
                run.attempt, run.restarts = attempt, run.restarts + 1
                run.status, run.heartbeat_at, run.finished_at = Status.RUNNING, at, None
                run.started_at = run.started_at or at
            return run, False
    started = at if status == Status.RUNNING else None
    run = Run(
        experiment_id=experiment_id,
        external_id=external_id or uuid.uuid4().hex,
        attempt=attempt,
        name=name or "",
        status=status,
        params=params or {},
        tags=tags or {},
        created_at=at,
        started_at=started,
        heartbeat_at=started,
    )
    session.add(run)
    session.flush()
    run.name = name or f"run {run.id}"
    return run, True


def get_run(session: Session, run_id: int, *, lock: bool = False) -> Run:
    """The run; with `lock`, nobody else can change it until this transaction ends. Raises NotFound."""
    query = select(Run).where(Run.id == run_id)
    run = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    return run


def change_run(
    session: Session,
    run_id: int,
    *,
    status: Status | None = None,
    name: str | None = None,
    tags: dict[str, Any] | None = None,
    at: int,
) -> Run:
    """The run, changed. Raises NotFound and IllegalTransition. The status that it has already is no transition."""
    run = get_run(session, run_id, lock=True)
    if status is not None and status != run.status:
        allowed = TRANSITIONS[Status(run.status)]
        if status not in allowed:
            raise IllegalTransition(
                f"run {run_id} is {run.status} and cannot become {status}, only {' or '.join(sorted(allowed))}"
            )
        run.status = status
        run.finished_at = at if status in ENDED else None
        if status == Status.RUNNING:
            run.started_at, run.heartbeat_at = run.started_at or at, at
    run.name = name if name is not None else run.name
    run.tags = tags if tags is not None else run.tags
    return run


def list_runs(session: Session, experiment_id: int, *, below: int | None = None, limit: int = PAGE) -> Listed:
    """The experiment's runs, newest first, each with `latest`: the newest point of each curve, by key.

    Two statements, however many runs and curves, and none of them reads a point. Raises NotFound.
    """
    get_experiment(session, experiment_id)
    query = select(Run).where(Run.experiment_id == experiment_id).order_by(Run.id.desc()).limit(limit + 1)
    if below is not None:
        query = query.where(Run.id < below)
    listed = _listed(session.scalars(query).all(), limit)
    runs = {run.id: run for run in listed.rows}
    for run in runs.values():
        run.latest = {}
    curves = select(Metric).where(Metric.run_id.in_(runs), Metric.last_step.is_not(None)).order_by(Metric.key)
    for metric in session.scalars(curves):
        runs[metric.run_id].latest[metric.key] = {
            "step": metric.last_step,
            "value": _nan(metric.last_value),
            "at": metric.last_at,
        }
    return listed


# --- points


def add_points(session: Session, run_id: int, points: Iterable[Row], *, at: int) -> int:
    """Stores the points, all or none, and keeps each curve's newest point on its row; how many were given.

    Sending them again changes nothing. Raises NotFound and TooManyPoints.
    """
    points = list(points)
    if len(points) > MAX_POINTS:
        raise TooManyPoints(
            f"a request holds at most {MAX_POINTS} points, this one has {len(points)}: send it in parts"
        )
    run = get_run(session, run_id)
    run.heartbeat_at = at
    # One statement may not meet a row twice, so of each (key, step) only the highest rank goes on.
    best: dict[tuple[str, int], tuple[float, int]] = {}
    for key, step, value, logged_at in points:
        known = best.get((key, step))
        if known is None or rank(value, logged_at) > rank(*known):
            best[key, step] = value, logged_at
    if best:
        run.last_logged_at = max(run.last_logged_at or 0, max(logged_at for _, logged_at in best.values()))
        ids = _metric_ids(session, run_id, {key for key, _ in best})
        # Sorted by (metric, step), the order of the primary key: fewer pages are touched, and two writers never
        # lock the same rows in opposite order.
        rows = sorted((ids[key], step, _null(value), logged_at) for (key, step), (value, logged_at) in best.items())
        connection = session.connection()
        connection.exec_driver_sql(UPSERT, rows)
        newest = {metric_id: (step, value, logged_at) for metric_id, step, value, logged_at in rows}
        connection.exec_driver_sql(
            KEEP_LATEST, [{"id": i, "step": s, "value": v, "at": t} for i, (s, v, t) in newest.items()]
        )
        connection.exec_driver_sql(TOUCH, {"run_id": run_id, "ids": str(sorted(newest))})
    return len(points)


def _metric_ids(session: Session, run_id: int, keys: set[str]) -> dict[str, int]:
    """The id of each key's curve; those that are new get one."""
    known = select(Metric.key, Metric.id).where(Metric.run_id == run_id)
    ids = dict(session.execute(known).all())
    missing = sorted(keys - ids.keys())
    if missing:
        session.add_all([Metric(run_id=run_id, key=key, version=0) for key in missing])
        ids = dict(session.execute(known).all())
    return ids


def get_curve(session: Session, run_id: int, key: str) -> dict[str, Any]:
    """One curve, sorted by step: `key`, `version` and the columns `steps`, `values`, `at`. Raises NotFound."""
    get_run(session, run_id)
    metric = session.scalars(select(Metric).where(Metric.run_id == run_id, Metric.key == key)).one_or_none()
    if metric is None:
        raise NotFound(f"run {run_id} has logged no {key!r}")
    query = select(Point.step, Point.value, Point.logged_at).where(Point.metric_id == metric.id)
    points = session.execute(query.order_by(Point.step)).all()
    return {
        "key": key,
        "version": metric.version,
        "steps": [step for step, _, _ in points],
        "values": [_nan(value) for _, value, _ in points],
        "at": [logged_at for _, _, logged_at in points],
    }


def ping(session: Session) -> None:
    """Raises what the database raises when it cannot be read."""
    session.execute(select(func.count()).select_from(select(Experiment.id).limit(1).subquery()))


def _nan(value: float | None) -> float:
    """What a stored value means."""
    return math.nan if value is None else value


def _null(value: float) -> float | None:
    """How a value is stored."""
    return None if math.isnan(value) else value
