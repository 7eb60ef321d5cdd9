from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tracker.server import problem
from tracker.server.schema import Experiment
from tracker.server.store import experiments, pages, points, runs


def test_a_taken_name_is_refused(session: Session, experiment: Experiment) -> None:
    with pytest.raises(problem.NameTaken, match="'digits' exists already"):
        experiments.create_experiment(session, "digits", "", at=0)


def test_a_name_that_is_taken_right_before_the_insert_is_refused(session: Session) -> None:
    """By the same connection, since in SQLite nobody else could write meanwhile."""

    def be_quicker(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO experiments") and not quicker:
            quicker.append("than we are")
            columns = "name, owner, description, created_at"
            session.connection().exec_driver_sql(f"INSERT INTO experiments ({columns}) VALUES ('a', '', '', 0)")

    quicker: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", be_quicker)
    with pytest.raises(problem.NameTaken, match="'a' exists already"):
        experiments.create_experiment(session, "a", "", at=0)


@pytest.mark.parametrize("why", ["database is locked", "disk I/O error"])
def test_a_database_that_cannot_be_written_is_no_taken_name(session: Session, why: str) -> None:
    def be_locked(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        raise OperationalError(statement, None, Exception(why))

    event.listen(session.connection(), "before_cursor_execute", be_locked)
    with pytest.raises(OperationalError, match=why):
        experiments.create_experiment(session, "a", "", at=0)


def test_an_unknown_one_is_refused(session: Session) -> None:
    with pytest.raises(problem.NotFound, match="no experiment 5"):
        experiments.get_experiment(session, 5)


@pytest.mark.parametrize("forged", ["5", "x", pages.to_cursor("runs", 5)])
def test_a_cursor_that_is_none_of_ours_is_refused(session: Session, forged: str) -> None:
    with pytest.raises(problem.BadCursor):
        experiments.list_experiments(session, cursor=forged)


def test_it_keeps_what_it_was_given(session: Session) -> None:
    made = experiments.create_experiment(session, "a", "why", at=42)
    assert (made.name, made.description, made.owner, made.created_at) == ("a", "why", "", 42)
    assert experiments.get_experiment(session, made.id) is made


def test_names_differ_by_case(session: Session, experiment: Experiment) -> None:
    assert experiments.create_experiment(session, "Digits", "", at=0).id != experiment.id


def test_they_are_listed_newest_first_with_their_run_counts(session: Session) -> None:
    ids = [experiments.create_experiment(session, name, "", at=0).id for name in "abc"]
    for experiment_id, count in zip(ids, (2, 0, 1), strict=True):
        for _ in range(count):
            runs.create_run(session, experiment_id, at=0)
    listed = experiments.list_experiments(session)
    assert [(e.name, e.run_count) for e in listed.items] == [("c", 1), ("b", 0), ("a", 2)]
    assert listed.next is None


def test_pages_join_without_gap_or_repeat(session: Session) -> None:
    for i in range(7):
        experiments.create_experiment(session, str(i), "", at=0)
    seen, cursor = [], None
    for _ in range(3):
        page = experiments.list_experiments(session, cursor=cursor, limit=3)
        seen.append([e.name for e in page.items])
        cursor = page.next
    assert seen == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert cursor is None


def test_a_full_last_page_has_no_next(session: Session) -> None:
    for i in range(3):
        experiments.create_experiment(session, str(i), "", at=0)
    assert experiments.list_experiments(session, limit=3).next is None


def test_one_is_found_by_name(session: Session, experiment: Experiment) -> None:
    experiments.create_experiment(session, "other", "", at=0)
    assert [e.id for e in experiments.list_experiments(session, name="digits").items] == [experiment.id]
    assert experiments.list_experiments(session, name="nobody").items == []


def test_deleting_one_takes_all_of_it_and_nothing_else(session: Session, experiment: Experiment) -> None:
    other = experiments.create_experiment(session, "other", "", at=0)
    for owner in (experiment, other):
        run, _ = runs.create_run(session, owner.id, at=0)
        points.add_points(session, run.id, [("loss", i, 0.0, 0) for i in range(5)], at=0)
    experiments.delete_experiment(session, experiment.id)
    with pytest.raises(problem.NotFound):
        experiments.delete_experiment(session, experiment.id)
    left = {t: session.execute(text(f"SELECT count(*) FROM {t}")).scalar_one() for t in ("runs", "metrics", "points")}
    assert left == {"runs": 1, "metrics": 1, "points": 5}


def test_the_id_of_a_deleted_one_is_never_given_again(session: Session, experiment: Experiment) -> None:
    gone = experiment.id
    experiments.delete_experiment(session, gone)
    session.flush()
    session.expire_all()
    assert experiments.create_experiment(session, "next", "", at=0).id > gone


def test_a_page_keeps_its_place_while_others_come_and_go(session: Session) -> None:
    ids = [experiments.create_experiment(session, str(i), "", at=0).id for i in range(6)]
    first = experiments.list_experiments(session, limit=3)
    experiments.create_experiment(session, "new", "", at=0)
    experiments.delete_experiment(session, ids[4])
    second = experiments.list_experiments(session, cursor=first.next, limit=3)
    assert [e.name for e in first.items + second.items] == ["5", "4", "3", "2", "1", "0"]


def test_a_page_keeps_its_place_when_its_last_row_is_gone(session: Session) -> None:
    ids = [experiments.create_experiment(session, str(i), "", at=0).id for i in range(4)]
    first = experiments.list_experiments(session, limit=2)
    experiments.delete_experiment(session, ids[2])
    session.flush()
    session.expire_all()
    assert [e.name for e in experiments.list_experiments(session, cursor=first.next, limit=2).items] == ["1", "0"]


def test_a_page_is_cut_by_the_database_and_costs_as_many_queries_as_another(session: Session) -> None:
    for i in range(9):
        experiments.create_experiment(session, str(i), "", at=0)
    session.flush()
    statements: dict[int, list[str]] = {2: [], 8: []}
    for limit, seen in statements.items():

        def note(*given: Any, seen: list[str] = seen) -> None:
            seen.append(given[2])

        event.listen(session.connection(), "before_cursor_execute", note)
        experiments.list_experiments(session, limit=limit)
        event.remove(session.connection(), "before_cursor_execute", note)
    assert len(statements[2]) == len(statements[8])
    assert "LIMIT" in statements[2][0]
