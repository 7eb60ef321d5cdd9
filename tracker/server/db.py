"""Where the rows are, and who may change them when.

SQLite allows one writer at a time, and a second one that meets it may wait for nothing and fail. So there is one
process (`claim`), in it one writer (`write` queues behind a lock) and any number of readers, whom WAL
mode lets read on while somebody writes. A block of `read` or `write` is one transaction on one connection:

    with db.write() as session: ...     # commits at the end, rolls back when an exception leaves the block
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session

# The thread pool that runs the routes has 40 threads; with a connection for each, nobody waits for one.
CONNECTIONS = 40


class Database:
    """One SQLite file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.engine = create_engine(
            f"sqlite:///{file}", pool_size=CONNECTIONS, max_overflow=1, json_deserializer=from_json
        )
        self.writing = threading.Lock()  # held by the one who writes
        event.listen(self.engine, "connect", _settle)
        event.listen(self.engine, "begin", _begin)
        self._writer: Engine = self.engine.execution_options(begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view; never waits for a writer."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, after those of all who asked before."""
        with self.writing, self.transaction() as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One transaction of whoever holds `writing`."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self, version: str = "head") -> None:
        """Brings the tables to this version, whichever earlier one they are from."""
        with self.writing:
            command.upgrade(self._migrations(), version)

    def versions(self) -> tuple[str | None, str]:
        """The version of the tables (None: there are none), and the newest that this tracker knows."""
        with self.engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        return found, ScriptDirectory.from_config(self._migrations()).get_heads()[0]

    def _migrations(self) -> Config:
        config = Config(attributes={"engine": self._writer})
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        return config

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


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
