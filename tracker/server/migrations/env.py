"""Alembic runs this: the versions beside it, in order, in one transaction, and one process after the other."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection

from tracker.server.schema import Base

LOCK = 7_203_411  # any number that nothing else in the same database locks


@contextmanager
def children_kept(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew and dropping the old one, and with that would go every row that refers
    to it. Only outside of a transaction can it be told not to."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.dbapi_connection
    assert raw
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = ON")


with context.config.attributes["engine"].connect() as connection, children_kept(connection):
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # two replicas that start together would both make the tables
            for limit in ("statement_timeout", "lock_timeout"):  # a large table takes as long as it takes
                connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()
