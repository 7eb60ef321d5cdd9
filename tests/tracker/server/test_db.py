import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import inspect, text
from sqlalchemy.exc import InternalError

from tracker.server.db import Database, sqlite
from tracker.server.migrations import migrate, migrations, versions
from tracker.server.schema import Run

ADD = text("INSERT INTO experiments (name, owner, description, created_at) VALUES (:name, '', '', 0)")
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
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


@ON_SQLITE
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
    migrate(database)
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 1


@ON_SQLITE
@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1)])
def test_every_connection_is_set_up(database: Database, pragma: str, value: object) -> None:
    with database.read() as session:
        assert session.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


@ON_POSTGRES
def test_writers_of_different_rows_do_not_wait(database: Database) -> None:
    with database.write() as one, database.write() as other:
        one.execute(ADD, {"name": "a"})
        other.execute(ADD, {"name": "b"})
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 2


def test_a_reader_sees_one_moment(database: Database) -> None:
    """An export reads for minutes, in many statements, while others write."""
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 0
        with database.write() as writer:
            writer.execute(ADD, {"name": "a"})
        assert session.execute(COUNT).scalar_one() == 0


@ON_POSTGRES
def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(InternalError, match="read-only"), database.read() as session:
        session.execute(ADD, {"name": "a"})


@ON_POSTGRES
def test_a_writer_does_not_ask_for_more_than_the_server_gives(database: Database) -> None:
    """Also after a reader: on a standby, "BEGIN READ WRITE" is an error of another kind than "INSERT" is."""
    with closing(Database(database.engine.url, connections=1)) as standby:
        with standby.write() as session:
            session.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
        with standby.read() as session:
            assert session.execute(COUNT).scalar_one() == 0
        with pytest.raises(InternalError, match="read-only"), standby.write() as session:
            session.execute(ADD, {"name": "a"})


@ON_POSTGRES
def test_its_name_has_no_password(database: Database) -> None:
    assert re.fullmatch(r"postgresql://\w+:\*\*\*@127\.0\.0\.1:\d+/\w+", database.name)


@ON_POSTGRES
def test_connections_that_died_are_replaced(database: Database) -> None:
    """As they do when PostgreSQL is started again."""
    with database.read() as session:
        session.execute(COUNT)
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as other:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tracker'"
        assert other.execute(ended).fetchall() == [(True,)]
    with database.read() as session:
        assert session.execute(COUNT).scalar_one() == 0


@pytest.fixture(params=["sqlite", "postgresql"])
def untouched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Opens a database without tables, as often as one likes."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else sqlite(tmp_path / "a.db")
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Database(url)))


def test_of_processes_that_migrate_at_once_each_finds_the_tables(postgres_url: str) -> None:
    code = (
        "import sys; from tracker.server.db import Database; from tracker.server.migrations import migrate;"
        " migrate(Database(sys.argv[1]))"
    )
    at_once = [subprocess.Popen([sys.executable, "-c", code, postgres_url]) for _ in range(3)]
    assert [process.wait() for process in at_once] == [0, 0, 0]
    with closing(Database(postgres_url)) as database:
        found, newest = versions(database)
    assert found == newest


OLD_RUN = text(
    "INSERT INTO runs (experiment_id, external_id, name, status, params, tags, attempt, restarts,"
    " created_at, started_at, fences) VALUES (1, :x, 'n', 'killed', '{}', '{}', :a, :r, 5, :s, '[]')"
)


def test_a_database_of_each_earlier_version_is_brought_up_with_its_rows_and_back(
    untouched: Callable[[], Database],
) -> None:
    """0001 kept the number of restarts, and of the attempts only the last one's name."""
    database = untouched()
    migrate(database, "0001")
    with database.write() as session:
        session.execute(ADD, {"name": "a"})
        for external_id, attempt, restarts, started_at in (("x", "two", 1, 7), ("y", None, 0, None)):
            session.execute(OLD_RUN, {"x": external_id, "a": attempt, "r": restarts, "s": started_at})
    migrate(database)
    with database.read() as session:
        first, second = session.query(Run).order_by(Run.id)
        assert (first.attempts, first.restarts, first.started_at) == ([[None, 7], ["two", 7]], 1, 7)
        assert (second.attempts, second.restarts, second.started_at) == ([], 0, None)
    command.downgrade(migrations(database), "0001")
    with database.read() as session:
        kept = session.execute(text("SELECT attempt, restarts, started_at FROM runs ORDER BY id")).all()
        assert kept == [("two", 1, 7), (None, 0, None)]
    command.downgrade(migrations(database), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    migrate(database)
    found, newest = versions(database)
    assert found == newest


def test_owners_come_without_the_loss_of_a_run_or_the_reuse_of_an_id(untouched: Callable[[], Database]) -> None:
    """0003 makes the table of experiments anew on SQLite, and runs refer to it."""
    database = untouched()
    migrate(database, "0002")
    with database.write() as session:
        for name in "ab":
            session.execute(ADD, {"name": name})
        session.execute(
            text(
                "INSERT INTO runs (experiment_id, external_id, name, status, params, tags, created_at, fences)"
                " VALUES (1, 'x', 'n', 'killed', '{}', '{}', 5, '[]')"
            )
        )
        session.execute(text("DELETE FROM experiments WHERE name = 'b'"))
    migrate(database)
    with database.write() as session:
        assert session.execute(text("SELECT count(*) FROM runs")).scalar_one() == 1
        if database.is_sqlite:
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []
            assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        session.execute(ADD, {"name": "c"})
        assert session.execute(text("SELECT max(id) FROM experiments")).scalar_one() == 3
        session.execute(text("DELETE FROM experiments WHERE id = 1"))
        assert session.execute(text("SELECT count(*) FROM runs")).scalar_one() == 0
