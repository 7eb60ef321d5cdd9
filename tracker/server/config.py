"""What the server is told by its environment.

TRACKER_DIR     the folder of everything this checkout keeps (default: ./.tracker): the server's tracker.db and
                the client's spool/
TRACKER_HOSTS   further names under which browsers may reach the server, separated by commas
TRACKER_STREAMS how many streams of live events may be open at once (default: 500)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PORT = 8000
PORTS = 20  # how many are tried, from the first on


@dataclass(frozen=True)
class Settings:
    """See the module's docstring."""

    folder: Path = Path(".tracker")
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    streams: int = 500

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make. Raises ValueError with a sentence for one that makes none."""
        further = (name.strip().lower() for name in environment.get("TRACKER_HOSTS", "").split(","))
        return cls(
            folder=Path(environment.get("TRACKER_DIR") or cls.folder).absolute(),
            hosts=cls.hosts | {name for name in further if name},
            streams=_streams(environment.get("TRACKER_STREAMS") or str(cls.streams)),
        )


def _streams(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"TRACKER_STREAMS is a whole number, such as 500, and not {text!r}")
    return int(text)
