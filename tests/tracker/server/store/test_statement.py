"""Statements are run as they are written, by either driver."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tracker.server.schema import Run
from tracker.server.store.statement import execute


def test_what_the_database_refuses_is_raised_as_sqlalchemy_raises_it(session: Session) -> None:
    with pytest.raises(DBAPIError):
        execute(session.connection(), "SELECT nothing FROM nowhere WHERE id = :id", {"id": 1})


def test_parameters_have_names(session: Session, run: Run) -> None:
    both = "SELECT id, '100%' FROM runs WHERE id = :id AND :id < :above"
    assert execute(session.connection(), both, {"id": run.id, "above": 99}).all() == [(run.id, "100%")]
    assert execute(session.connection(), both, {"id": run.id, "above": 0}).all() == []


def test_a_list_of_parameters_is_as_many_times(session: Session, run: Run) -> None:
    given = [{"id": run.id, "text": text} for text in ("a", "b", "c")]
    execute(session.connection(), "UPDATE runs SET name = name || :text WHERE id = :id", given)
    session.refresh(run)
    assert run.name.endswith("abc")
