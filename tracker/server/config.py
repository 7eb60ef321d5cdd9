"""What the server is told by its environment.

TRACKER_DIR                     the folder of everything this checkout keeps (default: ./.tracker): the server's
                                tracker.db and the client's spool/
TRACKER_HOSTS                   further names under which browsers may reach the server, separated by commas
TRACKER_DATABASE_URL            postgresql://user:password@host/database, for several servers that share one database
                                (default: SQLite, in the folder)
TRACKER_DATABASE_CONNECTIONS    how many each server opens at most (default: 20); `tracker.server.db` has the sum
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PORT = 8000
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
PORTS = 20  # how many are tried, from the first on


class BadSetting(ValueError):
    """A variable of the environment says what we do not understand; the text says which, and what it may say."""


@dataclass(frozen=True)
class Settings:
    """See the module's docstring."""

    folder: Path = Path(".tracker")
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    database_url: str = ""  # empty: SQLite, in the folder
    database_connections: int = 20

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make. Raises BadSetting."""
        further = (name.strip().lower() for name in environment.get("TRACKER_HOSTS", "").split(","))
        return cls(
            folder=Path(environment.get("TRACKER_DIR") or cls.folder).absolute(),
            hosts=cls.hosts | {name for name in further if name},
            database_url=database_url(environment.get("TRACKER_DATABASE_URL", "")),
            database_connections=_count(environment, "TRACKER_DATABASE_CONNECTIONS", cls.database_connections),
        )


def database_url(written: str) -> str:
    """The address of a PostgreSQL, as SQLAlchemy wants it; empty for an empty text. Raises BadSetting."""
    if not written.strip():
        return ""
    scheme, _, rest = written.strip().partition("://")
    try:
        parts = urlsplit(f"//{rest}")
        usable = scheme in SCHEMES and parts.path.strip("/") != "" and parts.port != 0
    except ValueError:
        usable = False
    if not usable:  # what was written is not repeated: it may hold a password
        raise BadSetting("TRACKER_DATABASE_URL: write postgresql://user:password@host/database, or nothing for SQLite")
    return f"postgresql+psycopg://{rest}"


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from 1 on. Raises BadSetting."""
    written = environment.get(name) or str(default)
    if not written.isdecimal() or int(written) < 1:
        raise BadSetting(f"{name} is {written!r}: write a whole number from 1 on")
    return int(written)
