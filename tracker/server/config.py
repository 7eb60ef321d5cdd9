"""What the server is told by its environment.

TRACKER_DIR                     the folder of everything this checkout keeps (default: ./.tracker): the server's
                                tracker.db and the client's spool/
TRACKER_HOSTS                   further names under which browsers may reach the server, separated by commas
TRACKER_AUTH                    "required": whoever asks needs a key; "open": nobody does. Without it, keys are needed
                                everywhere but on a server that only this machine reaches and that keeps its data in
                                SQLite
TRACKER_ORIGINS                 pages of other servers that may ask this one, such as https://lab.example, separated by
                                commas
TRACKER_SECRET                  what sessions are signed with, where several servers share them (default: a file in
                                TRACKER_DIR)
TRACKER_DATABASE_URL            postgresql://user:password@host/database, for several servers that share one database
                                (default: SQLite, in the folder)
TRACKER_DATABASE_CONNECTIONS    how many each server opens at most (default: 20); `tracker.server.db` has the sum
TRACKER_RABBITMQ_URL            amqp://user:password@host/, for a queue before that database, which `tracker worker`
                                empties into it (default: servers store the points themselves)
TRACKER_QUEUE                   what the names of its queues begin with (default: tracker)
TRACKER_QUEUE_LENGTH            how many batches of points it holds before it is full (default: 100000)
TRACKER_REDIS_URL               a Redis or Valkey, such as redis://host:6379/0, which the servers of one database share:
                                for lists that were read a moment ago, messages between them, and rate limits. Without
                                it, or while it is away, each does without
TRACKER_RATE_LIMIT              requests a second that one caller may make in the long run, and twice as many at once
                                (default: there is no limit)
TRACKER_STREAMS                 how many streams of live events may be open at once (default: 500)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

PORT = 8000
SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
PORTS = 20  # how many are tried, from the first on


class BadSetting(ValueError):
    """A variable of the environment says what we do not understand; the text says which, and what it may say."""


@dataclass(frozen=True)
class Settings:
    """See the module's docstring. `host` is the address at which the server listens."""

    folder: Path = Path(".tracker")
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    database_url: str = field(default="", repr=False)  # empty: SQLite, in the folder; it may hold a password
    database_connections: int = 20
    rabbitmq_url: str = field(default="", repr=False)  # empty: no queue
    queue: str = "tracker"
    queue_length: int = 100_000
    redis_url: str = field(default="", repr=False)  # empty: each server for itself
    rate_limit: float | None = None
    streams: int = 500
    auth: str = ""
    origins: frozenset[str] = frozenset()
    secret: str = field(default="", repr=False)
    host: str = "127.0.0.1"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make. Raises BadSetting."""
        auth = environment.get("TRACKER_AUTH", "")
        if auth not in ("", "required", "open"):
            raise BadSetting(f'TRACKER_AUTH is "required" or "open", not {auth!r}')
        return cls(
            folder=Path(environment.get("TRACKER_DIR") or cls.folder).absolute(),
            hosts=cls.hosts | {name.lower() for name in _listed(environment, "TRACKER_HOSTS")},
            auth=auth,
            origins=frozenset(map(_origin, _listed(environment, "TRACKER_ORIGINS"))),
            secret=environment.get("TRACKER_SECRET", ""),
            database_url=_database_url(environment.get("TRACKER_DATABASE_URL", "")),
            database_connections=_count(environment, "TRACKER_DATABASE_CONNECTIONS", cls.database_connections),
            rabbitmq_url=_rabbitmq_url(environment),
            queue=environment.get("TRACKER_QUEUE") or cls.queue,
            queue_length=_count(environment, "TRACKER_QUEUE_LENGTH", cls.queue_length),
            redis_url=_redis_url(environment.get("TRACKER_REDIS_URL", "")),
            rate_limit=_rate_limit(environment.get("TRACKER_RATE_LIMIT", "")),
            streams=_count(environment, "TRACKER_STREAMS", cls.streams),
        )

    @property
    def local(self) -> bool:
        """Whether only this machine reaches the server."""
        return is_local(self.host)

    @property
    def keys_needed(self) -> bool:
        """Whether whoever asks needs a key."""
        return self.auth == "required" or (not self.auth and not (self.local and not self.database_url))


def is_local(host: str) -> bool:
    """Whether the address is one that only this machine reaches."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listed(environment: Mapping[str, str], name: str) -> list[str]:
    return [part.strip() for part in environment.get(name, "").split(",") if part.strip()]


def _origin(text: str) -> str:
    """An origin, written as browsers write it. Raises BadSetting."""
    parts = urlsplit(text.rstrip("/").lower())
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
        raise BadSetting(f"TRACKER_ORIGINS has {text!r}, which is no origin; write one like https://lab.example")
    return parts.geturl()


def _database_url(written: str) -> str:
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


def _rabbitmq_url(environment: Mapping[str, str]) -> str:
    """Raises BadSetting."""
    written = environment.get("TRACKER_RABBITMQ_URL", "").strip()
    if written and urlsplit(written).scheme not in ("amqp", "amqps"):
        raise BadSetting("TRACKER_RABBITMQ_URL: write amqp://user:password@host/, or nothing for no queue")
    if written and not environment.get("TRACKER_DATABASE_URL", "").strip():
        # Its worker is another process, and SQLite has room for one that writes.
        raise BadSetting("TRACKER_RABBITMQ_URL wants a PostgreSQL behind the queue: set TRACKER_DATABASE_URL, too")
    return written


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from 1 on. Raises BadSetting."""
    written = environment.get(name) or str(default)
    if not written.isdecimal() or int(written) < 1:
        raise BadSetting(f"{name} is {written!r}: write a whole number from 1 on")
    return int(written)


def _redis_url(url: str) -> str:
    parts = urlsplit(url)
    try:
        is_one = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number
        is_one = False
    if url and not is_one:
        raise BadSetting("TRACKER_REDIS_URL is no address of a Redis: write one like redis://127.0.0.1:6379/0")
    return url


def _rate_limit(text: str) -> float | None:
    try:
        rate = float(text) if text else None
    except ValueError:
        rate = 0.0
    if rate is not None and not 0 < rate < math.inf:
        raise BadSetting(f"TRACKER_RATE_LIMIT is a number above 0, of requests a second, such as 50, and not {text!r}")
    return rate
