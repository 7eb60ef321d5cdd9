"""What a command of the server needs before it can begin: its settings, its folder, and a database of its version."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import DatabaseError

from . import migrations
from .claim import Claim, FolderBusy
from .config import BadSetting, Settings
from .db import Database, sqlite
from .observe import JsonLines, audit


class CannotServe(Exception):
    """Why the command cannot begin; the text says what to do."""


def settings_for(folder: Path) -> Settings:
    """What the environment says, for a tracker in this folder. Raises CannotServe."""
    try:
        return Settings.from_environment(os.environ | {"TRACKER_DIR": str(folder)})
    except BadSetting as error:
        raise CannotServe(str(error)) from None


@contextmanager
def claimed(settings: Settings) -> Iterator[Claim | None]:
    """The folder, for us alone; None where the data are in a server, which sees to that itself. Raises CannotServe."""
    if settings.database_url:
        yield None
        return
    folder = settings.folder
    try:
        claim = Claim(folder)
    except FolderBusy as busy:
        raise CannotServe(f"{busy}; use that one, or give this one a folder of its own with --dir") from None
    except OSError as error:
        raise CannotServe(
            f"the folder {folder} cannot be written ({error.strerror}): name another with --dir"
        ) from None
    try:
        yield claim
    finally:
        claim.release()


@contextmanager
def opened(settings: Settings, *, migrate: bool = False) -> Iterator[Database]:
    """The database, of this version. Raises CannotServe.

    A file is brought to it at once, since nobody else has it open. A server is not, unless we are told to `migrate`:
    other replicas may run an earlier version, and whoever deploys decides when they no longer do.
    """
    try:
        database = open_database(settings)
    except ModuleNotFoundError as missing:
        raise CannotServe(f"PostgreSQL needs {missing.name}: pip install 'tracker-workbook[postgres]'") from None
    try:
        if database.is_sqlite or migrate:
            migrations.migrate(database)
        found, newest = migrations.versions(database)
        if found != newest:
            raise CannotServe(
                f"{database.name} has {f'tables of version {found}' if found else 'no tables'}, and this tracker needs "
                f"version {newest}: run `tracker migrate`"
                + (", or start the tracker that made them" if found and found > newest else "")
            )
        yield database
    except CommandError as error:
        raise CannotServe(f"{database.name} does not fit this version of the tracker ({error})") from None
    except DatabaseError as error:
        remedy = "name another folder with --dir" if database.is_sqlite else "look at it, and at TRACKER_DATABASE_URL"
        raise CannotServe(f"{database.name} cannot be used ({_first_line(error.orig)}): {remedy}") from None
    finally:
        database.close()


def open_database(settings: Settings) -> Database:
    """What the settings name, as it is."""
    if settings.database_url:
        return Database(settings.database_url, settings.database_connections)
    return Database(sqlite(settings.folder / "tracker.db"))


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]


def log_lines(level: int) -> None:
    """Log records from this level on go to standard error, as lines of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    audit.setLevel(logging.INFO)
    for noisy in ("uvicorn", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
