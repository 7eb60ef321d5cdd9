"""Where the rows are, and who may change them when.

    sqlite:///FILE          one file, one process (`claim`), one writer at a time: a second one that meets it may wait
                            for nothing and fail, so `write` queues behind a lock. WAL mode lets any number of readers
                            read on while somebody writes.
    postgresql://...        a server that many processes share. Rows are what its writers wait for.

A block of `read` or `write` is one transaction on one connection:

    with db.write() as session: ...     # commits at the end, rolls back when an exception leaves the block

PostgreSQL has a process of its own for each connection, and by default at most 100 of them (`max_connections`, three of
which are kept for its administrator). So what all parts of a deployment may open together has to stay below that:

    max_connections - 3  >=  servers x the connections of each  +  workers x 2  +  1 for `tracker migrate`
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc
from sqlalchemy.orm import Session

# The thread pool that runs the routes has 40 threads; with a connection for each, nobody waits for one.
THREADS = 40
WAIT_SECONDS = 10  # for a free connection, before the request is told to come again

# What a client that was cut off from PostgreSQL notices, and when (s); without these, it waits for two hours.
CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,  # ms
    # And what the server does about a client that it does not hear from.
    "options": "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
    "application_name": "tracker",
}


# What is raised when the database does not answer: it is away, too busy, has just ended the connection, or (an internal
# error, as the driver sorts them) takes no changes, as a standby.
UNREACHABLE = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)


class Database:
    """The tables, at a URL of SQLAlchemy's. `connections` is how many this process opens at most."""

    def __init__(self, url: URL | str, connections: int = THREADS) -> None:
        self.engine = create_engine(url, json_deserializer=from_json, **_options(url, connections))
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.writing = threading.Lock()  # held by the one who stores points; in SQLite, by whoever writes at all
        if self.is_sqlite:
            event.listen(self.engine, "connect", _settle)
            event.listen(self.engine, "begin", _begin)
            self.writer: Engine = self.engine.execution_options(begin="BEGIN IMMEDIATE")
            self._reader = self.engine
        else:
            event.listen(self.engine, "begin", _begin_on_server)
            self.writer = self.engine
            # Several statements then see the same moment, as they do in SQLite.
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @property
    def name(self) -> str:
        """Where it is, without its password."""
        url = self.engine.url
        return str(url.database) if self.is_sqlite else url.set(drivername="postgresql").render_as_string()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view; never waits for a writer."""
        with Session(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction; in SQLite, after those of all who asked before."""
        with self.writing if self.is_sqlite else nullcontext(), self.transaction() as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction of whoever holds `writing`."""
        with Session(self.writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def sqlite(file: Path) -> URL:
    """The URL of a file."""
    return URL.create("sqlite", database=str(file))


def _options(url: URL | str, connections: int) -> dict[str, Any]:
    """How to keep connections: those of a server may have died since they were last used."""
    if str(url).startswith("sqlite"):
        return {"pool_size": connections, "max_overflow": 1}
    pool = {"pool_size": connections, "max_overflow": 0, "pool_timeout": WAIT_SECONDS, "pool_pre_ping": True}
    return {**pool, "connect_args": CONNECT}


def _settle(connection: Any, _: Any) -> None:
    """A new connection. The driver must not begin transactions on its own: `_begin` says which kind it is to be."""
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",  # survives a crash of the process; the last moments before a power cut may be lost
        "foreign_keys = ON",
        "busy_timeout = 5000",  # ms; another program may have the file open, a backup for instance
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """A writer takes the write lock at once: a transaction that reads first and then wants to write may be refused."""
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _begin_on_server(connection: Connection) -> None:
    """A writer leaves it to the server whether changes are taken: SQLAlchemy would have it ask for READ WRITE, once the
    connection was a reader's, which overrules a server that takes none for now, and which a standby refuses as an error
    of another kind."""
    if not connection.get_execution_options().get("postgresql_readonly"):
        driver: Any = connection.connection.driver_connection
        driver.read_only = None
