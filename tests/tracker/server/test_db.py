import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tracker.server.db import Database

ADD = text("INSERT INTO experiments (name, owner, description, created_at) VALUES (:name, '', '', 0)")
COUNT = text("SELECT count(*) FROM experiments")


class Boom(Exception):
    pass


def test_a_block_that_raises_changes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.execute(ADD, {"name": "a"})
            raise Boom

    with pytest.raises(Boom):
        fail()
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 0


def test_a_block_that_ends_is_committed(database: Database) -> None:
    with database.write() as session:
        session.execute(ADD, {"name": "a"})
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 1


def test_a_reader_neither_waits_for_a_writer_nor_sees_its_unfinished_work(database: Database) -> None:
    with database.write() as writer:
        writer.execute(ADD, {"name": "a"})
        with database.read() as reader:
            assert reader.execute(COUNT).scalar_one() == 0


def test_writers_wait_for_each_other(database: Database) -> None:
    """Each reads, then writes what it read: without one writer at a time, some would write the same or fail."""

    def add_next() -> None:
        with database.write() as session:
            session.execute(ADD, {"name": str(session.execute(COUNT).scalar_one())})

    threads = [threading.Thread(target=add_next) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        names = session.execute(text("SELECT name FROM experiments")).scalars().all()
    assert sorted(names, key=int) == [str(i) for i in range(30)]


def test_all_threads_of_the_server_read_at_once(database: Database, wait_until: Callable[..., None]) -> None:
    inside = threading.Semaphore(0)
    leave = threading.Event()

    def read() -> None:
        with database.read() as session:
            session.execute(COUNT).scalar_one()
            inside.release()
            leave.wait(20)

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    assert all(inside.acquire(timeout=10) for _ in threads)
    leave.set()
    for thread in threads:
        thread.join()


def test_migrating_twice_is_harmless(database: Database) -> None:
    with database.write() as session:
        session.execute(ADD, {"name": "a"})
    database.migrate()
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 1


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1)])
def test_every_connection_is_set_up(database: Database, pragma: str, value: object) -> None:
    with database.read() as session:
        assert session.execute(text(f"PRAGMA {pragma}")).scalar_one() == value
