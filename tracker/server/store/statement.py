"""Statements as text, with parameters written `:name`, for either kind of database."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, text


def execute(connection: Connection, statement: str, parameters: Any) -> CursorResult[*tuple[Any, ...]]:
    """Runs it, once for each of a list of parameters. `connection.execute(text(statement), parameters)` does the same
    and takes the statement apart anew each time: for a single point, that was half of all the work."""
    return connection.exec_driver_sql(_spelled(statement, connection.dialect), parameters)


@lru_cache
def _spelled(statement: str, dialect: Dialect) -> str:
    """The statement with its parameters written as the driver wants them; SQLite's knows `:name`."""
    return statement if dialect.name == "sqlite" else str(text(statement).compile(dialect=dialect))
