"""What counts as a change, and that all of them are found in one statement."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from tracker.server.schema import Experiment, Run
from tracker.server.store import points, runs
from tracker.server.store.changes import read_changes
from tracker.values import Status


@pytest.fixture
def statements(session: Session) -> Iterator[list[str]]:
    seen: list[str] = []
    engine = session.get_bind()

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def log(session: Session, run: Run, *keys: str) -> None:
    points.add_points(session, run.id, [(key, 0, 1.0, 0) for key in keys], at=0)


def newer(session: Session, run: Run, seen: int) -> dict[str, int]:
    return read_changes(session, {run.id: seen})[run.id].keys


def test_of_a_run_that_is_not_there_nothing_is_said(session: Session, run: Run) -> None:
    assert read_changes(session, {}) == {}
    assert read_changes(session, {run.id: 0, 99: 0}).keys() == {run.id}


def test_a_run_without_curves_has_a_status(session: Session, run: Run) -> None:
    change = read_changes(session, {run.id: 0})[run.id]
    assert (change.status, change.keys) == ("running", {})


def test_what_was_touched_after_the_version_that_was_seen_is_newer(session: Session, run: Run) -> None:
    log(session, run, "a", "b")
    log(session, run, "b", "c")
    assert newer(session, run, 0) == {"a": 1, "b": 2, "c": 2}
    assert newer(session, run, 1) == {"b": 2, "c": 2}
    assert newer(session, run, 2) == {}


def test_a_rewind_touches_every_curve_and_a_heartbeat_none(session: Session, run: Run) -> None:
    log(session, run, "a")
    log(session, run, "b")
    points.add_points(session, run.id, [], at=1)
    assert newer(session, run, 2) == {}
    points.rewind(session, run.id, step=0, until=5)
    assert newer(session, run, 2) == {"a": 3, "b": 3}


def test_an_end_and_a_resume_change_the_status_and_no_curve(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, external_id="x", at=0)
    log(session, run, "a")
    runs.change_run(session, run.id, status=Status.FINISHED, at=1)
    session.flush()
    assert read_changes(session, {run.id: 1})[run.id].status == "finished"
    runs.create_run(session, experiment.id, external_id="x", at=2)
    session.flush()
    change = read_changes(session, {run.id: 1})[run.id]
    assert (change.status, change.keys) == ("running", {})


def test_many_runs_are_one_statement_each_with_its_own_version(
    session: Session, experiment: Experiment, statements: list[str]
) -> None:
    made = [runs.create_run(session, experiment.id, at=0)[0] for _ in range(600)]
    for run in made[:3]:
        log(session, run, "a")
        log(session, run, "b")
    statements.clear()
    changes = read_changes(session, {run.id: seen % 3 for seen, run in enumerate(made)})
    assert len(statements) == 1
    assert len(changes) == 600
    assert [changes[run.id].keys for run in made[:3]] == [{"a": 1, "b": 2}, {"b": 2}, {}]
