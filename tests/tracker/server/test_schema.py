import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from tracker.server.db import Database
from tracker.server.schema import Base


def test_the_migrations_lead_to_the_schema(database: Database) -> None:
    with database.engine.connect() as connection:
        # Alembic compares defaults by asking PostgreSQL whether they are equal, which it cannot say of two JSONs.
        context = MigrationContext.configure(connection, opts={"compare_server_default": database.is_sqlite})
        assert compare_metadata(context, Base.metadata) == []


def test_every_foreign_key_is_the_beginning_of_an_index(database: Database) -> None:
    """Without one, deleting a parent, or joining from it, reads the whole child table."""
    inspector = inspect(database.engine)
    for table in inspector.get_table_names():
        indexed = [tuple(inspector.get_pk_constraint(table)["constrained_columns"])]
        indexed += [tuple(index["column_names"]) for index in inspector.get_indexes(table)]
        indexed += [tuple(unique["column_names"]) for unique in inspector.get_unique_constraints(table)]
        for key in inspector.get_foreign_keys(table):
            columns = tuple(key["constrained_columns"])
            assert any(index[: len(columns)] == columns for index in indexed), f"{table}{columns}"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_points_are_stored_in_their_primary_key(database: Database) -> None:
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'points'").scalar_one()
    assert "WITHOUT ROWID" in rows
