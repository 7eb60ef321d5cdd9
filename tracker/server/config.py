"""What the server is told by its environment.

TRACKER_DIR         the folder of everything this checkout keeps (default: ./.tracker): the server's tracker.db and
                    the client's spool/
TRACKER_HOSTS       further names under which browsers may reach the server, separated by commas
TRACKER_REDIS_URL   a Redis or Valkey, such as redis://host:6379/0, which the servers of one database share: for lists
                    that were read a moment ago, messages between them, and rate limits. Without it, or while it is
                    away, each does without
TRACKER_RATE_LIMIT  requests a second that one caller may make in the long run, and twice as many at once (default:
                    there is no limit)
TRACKER_STREAMS     how many streams of live events may be open at once (default: 500)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PORT = 8000
PORTS = 20  # how many are tried, from the first on


@dataclass(frozen=True)
class Settings:
    """See the module's docstring."""

    folder: Path = Path(".tracker")
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    redis_url: str = ""
    rate_limit: float | None = None
    streams: int = 500

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make. Raises ValueError with a sentence for one that makes none."""
        further = (name.strip().lower() for name in environment.get("TRACKER_HOSTS", "").split(","))
        return cls(
            folder=Path(environment.get("TRACKER_DIR") or cls.folder).absolute(),
            hosts=cls.hosts | {name for name in further if name},
            redis_url=_redis_url(environment.get("TRACKER_REDIS_URL", "")),
            rate_limit=_rate_limit(environment.get("TRACKER_RATE_LIMIT", "")),
            streams=_streams(environment.get("TRACKER_STREAMS") or str(cls.streams)),
        )


def _redis_url(url: str) -> str:
    parts = urlsplit(url)
    try:
        is_one = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number
        is_one = False
    if url and not is_one:
        raise ValueError("TRACKER_REDIS_URL is no address of a Redis: write one like redis://127.0.0.1:6379/0")
    return url


def _rate_limit(text: str) -> float | None:
    try:
        rate = float(text) if text else None
    except ValueError:
        rate = 0.0
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"TRACKER_RATE_LIMIT is a number above 0, of requests a second, such as 50, and not {text!r}")
    return rate


def _streams(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"TRACKER_STREAMS is a whole number, such as 500, and not {text!r}")
    return int(text)
