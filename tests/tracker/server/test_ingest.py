"""Group commit: who shares a transaction, and who does not suffer from it."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from tracker.server.db import Database
from tracker.server.ingest import Ingest
from tracker.server.problem import NotFound, TooManyPoints
from tracker.server.store import curves, experiments, runs

Answers = dict[int, Any]


@pytest.fixture
def ingest(database: Database) -> Ingest:
    with database.write() as session:
        experiment = experiments.create_experiment(session, "e", "", at=0)
        for _ in range(3):
            runs.create_run(session, experiment.id, at=0)
    return Ingest(database)


@pytest.fixture
def commits(database: Database) -> Iterator[list[object]]:
    seen: list[object] = []

    def note(connection: object) -> None:
        seen.append(connection)

    event.listen(database.engine, "commit", note)
    yield seen
    event.remove(database.engine, "commit", note)


def at_once(database: Database, ingest: Ingest, *jobs: tuple[int, list[Any]]) -> Answers:
    """The answer or the refusal of each (run, points), all of which wait while somebody else writes."""
    answers: Answers = {}

    def add(number: int, run_id: int, points: list[Any]) -> None:
        try:
            answers[number] = ingest.add(run_id, points, at=0)
        except Exception as error:
            answers[number] = error

    with database.writing:
        threads = [threading.Thread(target=add, args=(i, *job)) for i, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        while len(ingest._waiting) < len(jobs):
            pass
    for thread in threads:
        thread.join()
    return answers


def values(database: Database, run_id: int) -> list[float]:
    with database.read() as session:
        metric = curves.get_metric(session, run_id, "loss")
        found: list[float] = curves.read_curve(session, metric, at_most=100)["values"]
        return found


def test_a_refused_one_is_told_and_the_others_are_stored(database: Database, ingest: Ingest) -> None:
    answers = at_once(
        database,
        ingest,
        (1, [("loss", 0, 1.0, 0)]),
        (99, [("loss", 0, 1.0, 0)]),
        (2, [("loss", i, 1.0, 0) for i in range(10_001)]),
        (3, [("loss", 0, 3.0, 0), ("loss", 1, 4.0, 0)]),
    )
    assert isinstance(answers.pop(1), NotFound)
    assert isinstance(answers.pop(2), TooManyPoints)
    assert answers == {0: 1, 3: 2}
    assert (values(database, 1), values(database, 3)) == ([1.0], [3.0, 4.0])


def test_those_who_wait_share_one_commit(database: Database, ingest: Ingest, commits: list[object]) -> None:
    answers = at_once(database, ingest, *((1, [("loss", i, float(i), 0)]) for i in range(20)))
    assert answers == dict.fromkeys(range(20), 1)
    assert len(commits) == 1
    assert values(database, 1) == [float(i) for i in range(20)]


def test_when_the_database_fails_nobody_is_told_that_it_worked(database: Database, ingest: Ingest) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE points RENAME TO elsewhere")
    answers = at_once(database, ingest, (1, [("loss", 0, 1.0, 0)]), (2, [("loss", 0, 1.0, 0)]))
    assert [isinstance(answer, DBAPIError) for answer in answers.values()] == [True] * 2
    with database.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO points")
    assert ingest.add(1, [("loss", 0, 1.0, 0)], at=0) == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_servers_that_store_the_same_runs_do_not_wait_for_each_other_for_ever(
    database: Database, ingest: Ingest
) -> None:
    """Each stores both runs in one transaction; the one met them in this order, the other in that."""
    with closing(Database(database.engine.url)) as other:
        servers = ((database, ingest, (1, 2)), (other, Ingest(other), (2, 1)))
        answers: list[Answers] = []

        def store(database: Database, ingest: Ingest, runs: tuple[int, int]) -> None:
            for step in range(20):
                batch = [(f"key {i}", step, 0.0, 0) for i in range(50)]
                answers.append(at_once(database, ingest, *((run, batch) for run in runs)))

        threads = [threading.Thread(target=store, args=server) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [{0: 50, 1: 50}] * 40
