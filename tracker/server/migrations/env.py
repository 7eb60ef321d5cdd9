"""Alembic runs this: the versions beside it, in order, in one transaction."""

from alembic import context

from tracker.server.schema import Base

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
