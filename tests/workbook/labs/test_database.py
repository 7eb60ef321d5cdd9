"""One set of tests for both kinds: what a lesson may rely on."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from workbook.labs import database
from workbook.labs.database import LabDatabase, OnPostgres, OnSQLite, sent_by
from workbook.labs.postgres import SWITCH, Postgres

TABLES = """
CREATE TABLE jobs (id INTEGER PRIMARY KEY);
CREATE TABLE lines (job_id INTEGER NOT NULL REFERENCES jobs, n INTEGER NOT NULL, PRIMARY KEY (job_id, n))
"""
LAST = "SELECT n FROM lines WHERE job_id = 7 ORDER BY n DESC LIMIT 1"
ALL = "SELECT max(n) FROM lines WHERE n % 2 = 0"


@pytest.fixture(scope="module", params=[pytest.param("postgres", marks=pytest.mark.services), "sqlite"])
def db(request: pytest.FixtureRequest) -> Iterator[LabDatabase]:
    if request.param == "postgres":
        request.getfixturevalue("postgres_server")  # there is one, or these tests are not run
    db = OnPostgres(Postgres()) if request.param == "postgres" else OnSQLite("Why not?")
    db.run(TABLES)
    db.fill("INSERT INTO jobs SELECT n FROM numbers")
    db.fill("INSERT INTO lines SELECT jobs.id, n FROM numbers CROSS JOIN jobs WHERE n <= 50")
    yield db
    db.close()


def test_what_is_filled_is_there(db: LabDatabase) -> None:
    (row,) = db.ask("SELECT count(*) AS many, max(n) AS last FROM lines").to_dict("records")
    assert row == {"many": 50_000, "last": 50}


def test_foreign_keys_are_checked(db: LabDatabase) -> None:
    with pytest.raises(IntegrityError):
        db.run("INSERT INTO lines VALUES (:job, 1)", [{"job": 5000}])


def test_work_tells_a_seek_from_a_scan(db: LabDatabase) -> None:
    assert db.work(ALL) > 20 * db.work(LAST) > 0


def test_a_plan_names_what_it_reads_by(db: LabDatabase) -> None:
    plan = db.plan(LAST)
    depth, step = plan.index[-1]
    if isinstance(db, OnPostgres):
        assert (depth, step) == (1, "Index Only Scan backward using lines_pkey")
        assert plan[["rows in all", "times run"]].iloc[-1].tolist() == ["1", "1"]
        assert plan.index[0] == (0, "Limit")
    else:
        assert depth == 0
        assert "SEARCH lines USING COVERING INDEX" in step
        assert plan["reads"].tolist() == ["a range"]
        assert db.plan("SELECT count(*) FROM lines")["reads"].tolist() == ["every row"]


def test_an_index_takes_bytes(db: LabDatabase) -> None:
    before = db.bytes()
    db.run("CREATE INDEX wanted ON lines (n)")
    assert 5 * 50_000 < db.bytes() - before < 50 * 50_000
    db.run("DROP INDEX wanted")
    assert db.bytes() == before


def test_milliseconds_are_of_a_statement_with_or_without_rows(db: LabDatabase) -> None:
    assert db.milliseconds(ALL) > 0
    assert db.milliseconds("DELETE FROM lines WHERE job_id = 9", tries=1) > 0
    assert db.ask("SELECT * FROM lines WHERE job_id = 9").empty


def test_without_postgres_it_is_sqlite_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert repr(database.start()).endswith(" in memory. PostgreSQL is switched off (WORKBOOK_POSTGRES=off)")


@pytest.mark.services
def test_with_postgres_it_is_postgres(postgres_server: Postgres) -> None:
    db = database.start()
    assert isinstance(db, OnPostgres)
    assert repr(db).startswith("PostgreSQL ")
    db.close()


def test_clients_have_a_pool_each_and_the_same_tables(db: LabDatabase) -> None:
    one, other = db.another(pool_size=1, max_overflow=0), db.another()
    with one.begin() as connection:
        connection.execute(text("CREATE TABLE shared (n INTEGER)"))
        connection.execute(text("INSERT INTO shared VALUES (7)"))
    with one.connect(), other.connect() as connection:
        assert connection.execute(text("SELECT n FROM shared")).all() == [(7,)]


def test_what_is_sent_meanwhile_is_kept_with_its_parameters(db: LabDatabase) -> None:
    with db.engine.connect() as connection:
        with sent_by(db.engine) as sent:
            connection.execute(text("SELECT n FROM numbers WHERE n = :n"), {"n": 7})
        connection.execute(text("SELECT 2"))
        ((statement, parameters),) = sent
        assert statement.startswith("SELECT n FROM numbers")
        assert connection.exec_driver_sql(statement, parameters).all() == [(7,)]
