"""Runs: ORM objects like experiments, listed with the newest point of each of their curves.

A list is sorted by the newest value of any metric. That value may be a number, a NaN, or missing; these come in this
order whichever way the numbers are sorted, and the cursor says in which of the three parts its row stood. (SQL's own
order would put NULL first or last depending on the database, and no comparison with NULL ever finds the next page.)

An **attempt** is one process that runs the run. That it began, and that it ended, may be heard long after (`tracker
sync`), when another attempt is under way. So both come with the time at which they happened, and like the points of a
curve they lead to the same run in whatever order they arrive: what happened before the run's newest change is history.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from tracker.values import ENDED, TRANSITIONS, Status, decode, encode

from ..problem import BadCursor, IllegalTransition, NotFound
from ..schema import Experiment, Metric, Run
from .curves import nan_of, seal
from .experiments import get_experiment
from .pages import PAGE, Page, from_cursor, is_more, to_cursor

# Of a page of runs there are thousands: rows of the table, since an object of each would be most of the page's time.
CURVES = Metric.__table__.c
LATEST = [CURVES[name] for name in ("run_id", "key", "last_step", "last_value", "last_at", "count", "min", "max")]
NUMBER, NAN, MISSING = 0, 1, 2  # the three parts of a sorted list


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
    job: str | None = None,
    when: int | None = None,
    at: int,
) -> tuple[Run, bool]:
    """The run and whether it is new. `at` is now, `when` the time at which it happened (ms; None: now).

    A run that has this `external_id` is resumed: it keeps its name and params, and runs again. The same `attempt`
    asking twice (an answer that got lost) is no restart. Raises NotFound for the experiment.
    """
    get_experiment(session, experiment_id)
    if external_id is not None:
        query = select(Run).where(Run.experiment_id == experiment_id, Run.external_id == external_id)
        known = session.scalars(query.with_for_update()).one_or_none()
        if known is not None:
            if status == Status.RUNNING:
                _begin(known, attempt, job, when, at)
            return known, False
    run = Run(
        experiment_id=experiment_id,
        external_id=external_id or uuid.uuid4().hex,
        attempts=[],
        name=name or "",
        status=Status.QUEUED,
        params=params or {},
        tags=tags or {},
        job=job,
        created_at=at if when is None else when,
    )
    if status == Status.RUNNING:
        _begin(run, attempt, job, when, at)
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError:  # somebody else has just created this run, or deleted its experiment
        session.expire_all()
        return create_run(
            session,
            experiment_id,
            external_id=external_id,
            attempt=attempt,
            name=name,
            status=status,
            params=params,
            tags=tags,
            job=job,
            when=when,
            at=at,
        )
    run.name = name or f"run {run.id}"
    return run, True


def _begin(run: Run, attempt: str | None, job: str | None, when: int | None, at: int) -> None:
    """Another process runs the run, unless it is known already; and if the run has gone on since, it *did* run it."""
    since = max(at, run.changed_at) if when is None else when
    if any(attempt == known and (attempt or when == begun) for known, begun in run.attempts):
        return
    if since >= run.changed_at:
        run.status, run.heartbeat_at, run.finished_at, run.job = Status.RUNNING, at, None, job
    run.attempts = sorted([*run.attempts, (attempt, since)], key=lambda known: known[1])
    run.created_at = min(run.created_at, since)


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
    when: int | None = None,
    at: int,
) -> Run:
    """The run, changed. `at` is now, `when` the time at which its status changed (ms; None: now).

    The status that it has already is no transition, nor is one that it had before its newest change. Raises NotFound
    and IllegalTransition.
    """
    run = get_run(session, run_id, lock=True)
    since = max(at, run.changed_at) if when is None else when
    if status is not None and status != run.status and since >= run.changed_at:
        allowed = TRANSITIONS[Status(run.status)]
        if status not in allowed:
            raise IllegalTransition(
                f"run {run_id} is {run.status} and cannot become {status}, only {' or '.join(sorted(allowed))}"
            )
        if status == Status.RUNNING:
            _begin(run, None, run.job, since, at)
        else:
            run.status, run.finished_at = status, since if status in ENDED else None
    if status is not None and run.status in ENDED:  # again, too: late points may have come since
        seal(session, run_id)
    run.name = name if name is not None else run.name
    run.tags = tags if tags is not None else run.tags
    return run


def delete_run(session: Session, run_id: int) -> None:
    """Deletes the run and all its points. Raises NotFound."""
    get_run(session, run_id, lock=True)
    session.execute(delete(Run).where(Run.id == run_id))


def list_runs(
    session: Session,
    experiment_id: int | None,
    *,
    owner: str | None = None,
    status: Collection[Status] = (),
    job: str | None = None,
    keys: Collection[str] = (),
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> Page:
    """The experiment's runs (None: all, or one `owner`'s), each with `latest`: the newest point of each curve, by key.

    `status` and `job` choose runs (the job of an array stands for each of its tasks), `keys` curves; none: all. `sort`
    is a metric's key, "loss" for the lowest newest value first or "-loss" for the highest; without it, the newest runs
    come first. Two statements, however many runs and curves, and none of them reads a point. Raises NotFound and
    BadCursor.
    """
    if experiment_id is not None:
        get_experiment(session, experiment_id)
    sorted_by = aliased(Metric)
    part = case((sorted_by.last_step.is_(None), MISSING), (sorted_by.last_value.is_(None), NAN), else_=NUMBER)
    value = sorted_by.last_value
    query = select(Run, *([] if sort is None else [part, value])).limit(limit + 1)
    if experiment_id is not None:
        query = query.where(Run.experiment_id == experiment_id)
    if owner is not None:
        query = query.where(Run.experiment_id.in_(select(Experiment.id).where(Experiment.owner == owner)))
    if sort is None:
        query = query.order_by(Run.id.desc())
    else:
        query = query.outerjoin(sorted_by, and_(sorted_by.run_id == Run.id, sorted_by.key == sort.removeprefix("-")))
        query = query.order_by(part, value.desc() if sort.startswith("-") else value.asc(), Run.id.desc())
    if status:
        query = query.where(Run.status.in_(status))
    if job is not None:  # "7" and its tasks "7_0", "7_1", ...
        query = query.where(or_(Run.job == job, Run.job.startswith(f"{job}_", autoescape=True)))
    if cursor is not None:
        query = query.where(_after(cursor, sort, part, value))
    rows = session.execute(query).all()
    runs = {run.id: run for run, *_ in rows[:limit]}
    for run in runs.values():
        run.latest = {}  # for wire.RunItem
    curves = (
        select(*LATEST)
        .where(CURVES.run_id.in_(runs), CURVES.last_step.is_not(None))
        .order_by(CURVES.run_id, CURVES.key)
    )
    if keys:
        curves = curves.where(CURVES.key.in_(keys))
    latest = {run_id: run.latest for run_id, run in runs.items()}
    for run_id, key, step, last, at, count, lowest, highest in session.connection().execute(curves).all():
        point = {"step": step, "value": nan_of(last), "at": at, "count": count, "min": lowest, "max": highest}
        latest[run_id][key] = point
    return Page(list(runs.values()), _next(rows[limit - 1], sort) if is_more(rows, limit) else None)


def _next(row: Any, sort: str | None) -> str:
    """The cursor of the page after this row."""
    if sort is None:
        return to_cursor(_order(sort), row[0].id)
    run, part, value = row
    return to_cursor(_order(sort), part, encode(value) if part == NUMBER else 0, run.id)


def _order(sort: str | None) -> str:
    return "newest" if sort is None else f"metric {sort}"


def _after(cursor: str, sort: str | None, part: ColumnElement[int], value: Any) -> ColumnElement[bool]:
    """The condition for rows after the cursor's. Raises BadCursor."""
    place = from_cursor(cursor, _order(sort))
    its_id: int = place[-1]
    if sort is None:
        return Run.id < its_id
    try:
        its_part, its_value, _ = place
        its_part, its_value = (NUMBER, NAN, MISSING).index(its_part), decode(its_value)
    except (ValueError, TypeError, OverflowError):
        raise BadCursor("this cursor is not one that we handed out for this list; begin again without one") from None
    same = Run.id < its_id
    if its_part == NUMBER:
        beyond = value < its_value if sort.startswith("-") else value > its_value
        same = or_(beyond, and_(value == its_value, same))
    return or_(part > its_part, and_(part == its_part, same))
