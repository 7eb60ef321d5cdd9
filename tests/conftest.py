"""Private servers for the tests: real ones, on a free port of 127.0.0.1, each in a folder of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypeVar

import httpx
import psycopg
import pytest
import redis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy import make_url

from tracker.server.app import create_app
from tracker.server.config import Settings
from tracker.server.db import Database, sqlite
from tracker.server.migrations import migrate
from tracker.server.serve import KEEP_ALIVE
from workbook.build import build_exercises
from workbook.labs import server as labs
from workbook.labs.postgres import Postgres
from workbook.labs.rabbitmq import RabbitMQ
from workbook.labs.server import NoService
from workbook.labs.valkey import Valkey
from workbook.source import ROOT, sources

# `make test` tries the same examples every time, and `make test-slow` many others. A fixture is shared by all examples
# of a test: it has to be one that they do not change. A busy computer makes no example wrong. Of a mutant it is enough
# to know that it fails.
settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.register_profile("slow", settings.get_profile("house"), derandomize=False, max_examples=2000)
settings.register_profile(
    "mutants", settings.get_profile("house"), max_examples=100, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@dataclass
class Server:
    """A tracker that answers at `url`."""

    url: str
    folder: Path
    app: FastAPI


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On SQLite; and on PostgreSQL too, where a module is parametrized with both."""
    settings = Settings(tmp_path_factory.mktemp("server"))
    if getattr(request, "param", "sqlite") == "postgresql":
        settings = replace(settings, database_url=emptied(request.getfixturevalue("postgres_migrated")), auth="open")
    with answering(settings) as server:
        yield server


@contextmanager
def answering(settings: Settings) -> Iterator[Server]:
    """A server with these settings, in a thread."""
    database = Database(settings.database_url or sqlite(settings.folder / "tracker.db"))
    migrate(database)
    app = create_app(settings, database, about="A server for <tests>")
    config = uvicorn.Config(app, port=0, log_level="critical", timeout_keep_alive=KEEP_ALIVE)
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run)
    thread.start()
    wait_until(lambda: uvicorn_server.started or not thread.is_alive())
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Server(f"http://127.0.0.1:{port}", settings.folder, app)
    finally:
        app.state.live.close()
        uvicorn_server.should_exit = True
        thread.join()
        database.close()


@pytest.fixture(scope="module", name="answering")
def _answering() -> Callable[[Settings], AbstractContextManager[Server]]:
    return answering


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


ENGINES = ["sqlite", "postgresql"]


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Empty tables, in a file and in a server."""
    if request.param == "sqlite":
        database = Database(sqlite(tmp_path / "tracker.db"))
        migrate(database)
    else:
        database = Database(request.getfixturevalue("postgres_tables"), connections=50)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_migrated(postgres_server: Postgres) -> str:
    """The database that tests use one after the other: to make one for each would take half a second."""
    server = make_url(postgres_server.url)
    with psycopg.connect(
        server.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as connection:
        connection.execute("CREATE DATABASE migrated")
    url = server.set(database="migrated").render_as_string(hide_password=False)
    with closing(Database(url)) as database:
        migrate(database)
    return url


def emptied(postgres_migrated: str) -> str:
    """The same, of which nobody else has a connection or a row."""
    with psycopg.connect(postgres_migrated.replace("+psycopg", ""), autocommit=True) as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        connection.execute("TRUNCATE experiments, runs, metrics, points, api_keys RESTART IDENTITY CASCADE")
    return postgres_migrated


@pytest.fixture
def postgres_tables(postgres_server: Postgres, postgres_migrated: str) -> str:
    """A database with empty tables."""
    _well(postgres_server)
    return emptied(postgres_migrated)


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Returns as soon as the condition holds; fails the test when it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until


SERVICES = {
    "postgres_server",
    "postgres_url",
    "postgres_tables",
    "valkey_server",
    "valkey_url",
    "rabbitmq_server",
    "rabbitmq_url",
}
Kind = TypeVar("Kind", bound=labs.Server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a service."""
    for item in items:
        if SERVICES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)


@pytest.fixture(scope="session")
def not_run() -> Callable[[str], NoReturn]:
    """Ends a test that needs what is not here, and says what: at home it is skipped, in CI it has failed."""

    def end(why: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)

    return end


def _started(kind: type[Kind], not_run: Callable[[str], NoReturn]) -> Iterator[Kind]:
    try:
        server = kind()
    except NoService as missing:
        not_run(str(missing))
    with server:
        yield server


def _well(server: Kind) -> Kind:
    """The server as a test may expect it, whatever the one before has done to it."""
    if not server.answers():
        server.restart()
    return server


# One of each serves all tests of a process, from the first that asks for it. A test may kill, pause and restart it:
# the next one that asks for an address gets it well again.


@pytest.fixture(scope="session")
def postgres_server(not_run: Callable[[str], NoReturn]) -> Iterator[Postgres]:
    yield from _started(Postgres, not_run)


@pytest.fixture(scope="session")
def valkey_server(not_run: Callable[[str], NoReturn]) -> Iterator[Valkey]:
    yield from _started(Valkey, not_run)


@pytest.fixture(scope="session")
def rabbitmq_server(not_run: Callable[[str], NoReturn]) -> Iterator[RabbitMQ]:
    yield from _started(RabbitMQ, not_run)


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """Of an empty database, as `sqlalchemy.create_engine` wants it."""
    name = f"test_{uuid.uuid4().hex}"

    def administer(statement: str) -> None:
        url = make_url(_well(postgres_server).url).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(statement)

    administer(f"CREATE DATABASE {name}")
    yield make_url(postgres_server.url).set(database=name).render_as_string(hide_password=False)
    administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def valkey_url(valkey_server: Valkey) -> str:
    """Of an empty Valkey."""
    with redis.Redis.from_url(_well(valkey_server).url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture
def rabbitmq_url(request: pytest.FixtureRequest) -> str:
    """Of a broker in which others have queues too: begin your names with `queue_prefix`. One of your own is used when
    TRACKER_RABBITMQ_URL names it; what tests kill is never that one."""
    return os.environ.get("TRACKER_RABBITMQ_URL") or _well(request.getfixturevalue("rabbitmq_server")).url


@pytest.fixture
def queue_prefix() -> str:
    """Names no other test has."""
    return f"test-{uuid.uuid4().hex}-"


def checkout_files() -> list[str]:
    """Those of this checkout that git knows, or would if they were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, as git would give it, with untouched exercises: nobody's own tracker or answers are used."""
    target = tmp_path / "checkout"
    for name in checkout_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((ROOT / name).read_bytes())
    for source in sources():
        (target / source.notebooks[0]).unlink()
        build_exercises(source, target)
    return target


@dataclass
class Study:
    """A running `make study` of a checkout."""

    checkout: Path
    process: subprocess.Popen[str]
    workbook: str
    dashboard: str

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Python in the checkout, as its own terminal would."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.checkout, env=in_checkout(self.checkout), capture_output=True, text=True, check=False
        )


def in_checkout(checkout: Path) -> dict[str, str]:
    """The environment in which `tracker` and `workbook` are those of the checkout."""
    return os.environ | {"PYTHONPATH": str(checkout), "HOME": str(checkout / "home")}


@contextmanager
def studying(checkout: Path) -> Iterator[Study]:
    """`make study`, without its set-up; ended by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbook", "study", "--no-browser"],
        cwd=checkout,
        env=in_checkout(checkout),
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts its background jobs with Ctrl-C ignored, and they hand that on to us and to this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    said, found = "", None
    for line in process.stdout:
        said += line
        found = re.search(r"workbook +(http://\S+)\n  dashboard +(http://\S+)\n", said)
        if found:
            break
    assert found, said
    try:
        yield Study(checkout, process, found[1], found[2])
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise


@pytest.fixture(name="studying")
def _studying() -> Callable[[Path], AbstractContextManager[Study]]:
    return studying
