"""Alembic runs this: the versions beside it, in order, in one transaction, and one process after the other."""

from alembic import context

from tracker.server.schema import Base

LOCK = 7_203_411  # any number that nothing else in the same database locks

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # two replicas that start together would both make the tables
            for limit in ("statement_timeout", "lock_timeout"):  # a large table takes as long as it takes
                connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.run_migrations()
