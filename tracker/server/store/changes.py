"""What has changed since somebody looked: which curves of which runs have a newer version than the one that was seen.

The **version** of a run is the highest of its curves: each batch and each rewind gives the curves it touched the next
number. Whoever changes a run holds its row until the end of the transaction, so a run's versions become visible in the
order of their numbers: after one was seen, none below it can follow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, and_, column, select, values
from sqlalchemy.orm import Session

from ..schema import Metric, Run


@dataclass
class Change:
    """A run's status, and the version of each curve that is newer than the one seen."""

    status: str
    keys: dict[str, int] = field(default_factory=dict)


def read_changes(session: Session, seen: Mapping[int, int]) -> dict[int, Change]:
    """What changed in each of these runs (id: the version that was seen, 0: none), in one statement, however many there
    are. A run that is not in the answer does not exist."""
    if not seen:
        return {}
    asked = values(column("run_id", BigInteger), column("version", BigInteger), name="seen").data(list(seen.items()))
    watched = asked.cte("watched")
    newer = and_(Metric.run_id == Run.id, Metric.version > watched.c.version)
    query = select(Run.id, Run.status, Metric.key, Metric.version).join(watched, watched.c.run_id == Run.id)
    found: dict[int, Change] = {}
    for run_id, status, key, version in session.execute(query.outerjoin(Metric, newer)).all():
        change = found.setdefault(run_id, Change(status))
        if key is not None:
            change.keys[key] = version
    return found


def experiments_of(session: Session, run_ids: Collection[int]) -> dict[int, int]:
    """The experiment of each of these runs that there is."""
    query = select(Run.id, Run.experiment_id).where(Run.id.in_(run_ids))
    return dict(session.execute(query).all())
