"""Which version the tables of a database have, and how they come to another one. Alembic does it: `env.py` beside this.

Apart from `tracker.server.db`, since Alembic takes a while to load and only what opens a database needs it.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ..db import Database


def migrate(database: Database, version: str = "head") -> None:
    """Brings the tables to this version, whichever earlier one they are from."""
    with database.writing:
        command.upgrade(migrations(database), version)


def versions(database: Database) -> tuple[str | None, str]:
    """The version of the tables (None: there are none), and the newest that this tracker knows."""
    with database.engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found, ScriptDirectory.from_config(migrations(database)).get_heads()[0]


def migrations(database: Database) -> Config:
    """What the commands of Alembic want to know."""
    config = Config(attributes={"engine": database.writer})
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
