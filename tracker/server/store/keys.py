"""API keys: whose they are, what they may do, whether they still count; and whose an experiment or a run is.

A key is found by its hash. A revoked one stays in its row: the log speaks of keys by their ids, long after.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tracker.scope import Scope

from ..problem import NotFound
from ..schema import ApiKey, Experiment, Run
from .pages import PAGE, Page, from_cursor, is_more, to_cursor

ORDER = "newest"


def create_key(session: Session, *, name: str, owner: str, scope: Scope, key_hash: str, at: int) -> ApiKey:
    """A new key, of which only the hash is kept."""
    key = ApiKey(name=name, owner=owner, scope=scope, key_hash=key_hash, created_at=at)
    session.add(key)
    session.flush()
    return key


def find_key(session: Session, key: str | int) -> ApiKey | None:
    """The key with this hash, or with this id, unless it is revoked."""
    column = ApiKey.key_hash if isinstance(key, str) else ApiKey.id
    return session.scalars(select(ApiKey).where(column == key, ApiKey.revoked_at.is_(None))).one_or_none()


def first_admin(session: Session) -> int | None:
    """The oldest key that may give out others; None: there is none."""
    admins = select(ApiKey.id).where(ApiKey.scope == Scope.ADMIN, ApiKey.revoked_at.is_(None))
    return session.scalars(admins.order_by(ApiKey.id).limit(1)).one_or_none()


def list_keys(session: Session, *, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Keys, newest first, revoked ones included. Raises BadCursor."""
    query = select(ApiKey).order_by(ApiKey.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(ApiKey.id < from_cursor(cursor, ORDER)[-1])
    rows = session.scalars(query).all()
    return Page(list(rows[:limit]), to_cursor(ORDER, rows[limit - 1].id) if is_more(rows, limit) else None)


def revoke_key(session: Session, key_id: int, at: int) -> None:
    """From now on the key opens nothing; a second time changes nothing. Raises NotFound."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"there is no key {key_id}")
    key.revoked_at = key.revoked_at or at


def touch_key(session: Session, key_id: int, at: int) -> None:
    """The key was used at this time (ms)."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=at))


def experiment_owner(session: Session, experiment_id: int) -> str | None:
    """Whose the experiment is; None: there is none."""
    return session.scalars(select(Experiment.owner).where(Experiment.id == experiment_id)).one_or_none()


def run_owners(session: Session, run_ids: Collection[int]) -> dict[int, str]:
    """Whose the runs are, by their ids; without those that there are not."""
    owners = select(Run.id, Experiment.owner).join(Experiment, Run.experiment_id == Experiment.id)
    return dict(session.execute(owners.where(Run.id.in_(run_ids))).all())
