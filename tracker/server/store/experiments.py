"""Experiments: few, edited one by one, so ORM objects."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..problem import NameTaken, NotFound
from ..schema import Experiment, Run
from .pages import PAGE, Page, from_cursor, is_more, to_cursor

ORDER = "newest"


def create_experiment(
    session: Session,
    name: str,
    description: str,
    at: int,
    owner: str = "",
) -> Experiment:
    """A new experiment. Raises NameTaken where its owner has one of that name.

    There is no look-up before the insert: between the two, somebody else could take the name.
    The database's unique constraint is the only judge that sees everybody.
    """
    taken = f"an experiment named {name!r} exists already; GET /experiments?name=... finds it"
    experiment = Experiment(name=name, owner=owner, description=description, created_at=at)
    session.add(experiment)
    try:
        session.flush()
    except IntegrityError:
        raise NameTaken(taken) from None
    return experiment


def get_experiment(session: Session, experiment_id: int) -> Experiment:
    """The experiment. Raises NotFound."""
    experiment = session.get(Experiment, experiment_id)
    if experiment is None:
        raise NotFound(f"there is no experiment {experiment_id}")
    return experiment


def list_experiments(
    session: Session,
    *,
    name: str | None = None,
    owner: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> Page:
    """Experiments, newest first, each with its `run_count`: of one `owner`, of one `name`.

    Raises BadCursor.
    """
    query = select(Experiment).order_by(Experiment.id.desc()).limit(limit + 1)
    if name is not None:
        query = query.where(Experiment.name == name)
    if owner is not None:
        query = query.where(Experiment.owner == owner)
    if cursor is not None:
        query = query.where(Experiment.id < from_cursor(cursor, ORDER)[-1])
    rows = session.scalars(query).all()
    items = list(rows[:limit])
    count_runs(session, items)
    return Page(items, to_cursor(ORDER, items[-1].id) if is_more(rows, limit) else None)


def count_runs(session: Session, items: list[Experiment]) -> None:
    """Gives each its `run_count`, with one query for all of them."""
    counted = (
        select(Run.experiment_id, func.count())
        .where(Run.experiment_id.in_([e.id for e in items]))
        .group_by(Run.experiment_id)
    )
    counts = dict(session.execute(counted).all())
    for experiment in items:
        experiment.run_count = counts.get(experiment.id, 0)  # type: ignore[attr-defined]  # for wire.ExperimentItem


def delete_experiment(session: Session, experiment_id: int) -> None:
    """Deletes the experiment with its runs and all their points. Raises NotFound."""
    get_experiment(session, experiment_id)
    # In the order in which a batch of many runs locks them: two that wait for each other would wait for ever.
    session.execute(select(Run.id).where(Run.experiment_id == experiment_id).order_by(Run.id).with_for_update())
    session.execute(delete(Experiment).where(Experiment.id == experiment_id))
