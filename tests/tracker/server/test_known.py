import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tracker.server.db import Database
from tracker.server.known import FRESH, KEPT, Known
from tracker.server.problem import NotFound
from tracker.server.store import experiments, runs

NOWHERE = "postgresql+psycopg://a:b@127.0.0.1:1/db"


@pytest.fixture
def run_id(database: Database) -> int:
    with database.write() as session:
        experiment = experiments.create_experiment(session, "e", "", at=0)
        return runs.create_run(session, experiment.id, at=0)[0].id


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_run_that_nobody_made_is_refused(database: Database) -> None:
    with pytest.raises(NotFound, match="no run 8"):
        Known(database).check(8)


def test_without_the_database_only_what_was_seen_is_known(database: Database, run_id: int) -> None:
    clock = Clock()
    known = Known(database, clock)
    known.check(run_id)
    with closing(Database(NOWHERE)) as away:
        known._database = away
        clock.now = 100 * FRESH
        known.check(run_id)
        with pytest.raises(OperationalError):
            known.check(run_id + 1)


def test_a_deleted_run_is_refused_once_it_was_asked_for_again(database: Database, run_id: int) -> None:
    clock = Clock()
    known = Known(database, clock)
    known.check(run_id)
    with database.write() as session:
        runs.delete_run(session, run_id)
    known.check(run_id)  # its points will be left out by the worker
    clock.now = FRESH + 1
    for _ in range(2):
        with pytest.raises(NotFound):
            known.check(run_id)


def test_while_one_asks_the_others_do_with_what_is_known(database: Database, run_id: int) -> None:
    """A database that is cut off may take its time to be away."""
    clock = Clock()
    known = Known(database, clock)
    known.check(run_id)
    clock.now = FRESH + 1
    asked, cut = threading.Event(), threading.Event()

    def wait(*_: Any) -> None:
        asked.set()
        assert cut.wait(20)

    event.listen(database.engine, "before_cursor_execute", wait)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(known.check, run_id)
        assert asked.wait(20)
        known.check(run_id)
        assert not asking.done()
        cut.set()


def test_it_does_not_grow(database: Database, run_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.server.known.KEPT", 2)
    known = Known(database)
    with database.write() as session:
        others = [runs.create_run(session, 1, at=0)[0].id for _ in range(3)]
    for number in (run_id, *others):
        known.check(number)
    assert list(known._seen) == others[-2:]
    assert KEPT > 2
