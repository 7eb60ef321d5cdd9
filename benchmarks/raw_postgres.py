"""The raw driver again: psycopg on the tracker's own tables, for what `raw` does with sqlite3.

The points of a batch go in as four arrays that are upserted, or are appended by COPY; the rest is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from tracker.server.db import Database
from tracker.server.store.points import KEEP_LATEST, TOUCH
from tracker.server.store.upsert import ARRAYS, COPY, TYPES

from .raw import Batch, new_run

Way = Callable[[psycopg.Cursor, Batch], None]


class Raw:
    """One connection to a database of the tracker, and how points go in."""

    def __init__(self, database: Database, connection: psycopg.Connection, way: Way) -> None:
        self._database = database
        self._connection = connection
        self._way = way
        self._version = 0  # rises with each batch, whichever run it is of

    def new_run(self, keys: Sequence[str]) -> tuple[int, dict[str, int]]:
        """A run, and for each key the id of its curve."""
        return new_run(self._database, keys)

    def store(self, batch: Batch) -> None:
        """One transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            self._way(cursor, batch)
            cursor.executemany(_spelled(KEEP_LATEST), batch.newest)
            self._version += 1
            touched = [{"id": row["id"], "version": self._version} for row in batch.newest]
            cursor.executemany(_spelled(TOUCH), touched)


def by_unnest(cursor: psycopg.Cursor, batch: Batch) -> None:
    """Four arrays, in one statement."""
    cursor.execute(ARRAYS, [list(column) for column in zip(*batch.points, strict=True)])


def by_copy(cursor: psycopg.Cursor, batch: Batch) -> None:
    """Row by row, straight into the table."""
    with cursor.copy(COPY) as copy:
        copy.set_types(TYPES)
        for row in batch.points:
            copy.write_row(row)


@contextmanager
def raw(database: Database, way: Way) -> Iterator[Raw]:
    """A connection of its own to the database, which is there already."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield Raw(database, connection, way)


def _spelled(statement: str) -> bytes:
    """With its parameters written as psycopg wants them."""
    return re.sub(r":(\w+)", r"%(\1)s", statement).encode()
