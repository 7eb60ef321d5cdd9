"""What the server is told by its environment.

TRACKER_DIR     the folder of everything this checkout keeps (default: ./.tracker): the server's tracker.db and
                the client's spool/
TRACKER_HOSTS   further names under which browsers may reach the server, separated by commas
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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make."""
        further = (name.strip().lower() for name in environment.get("TRACKER_HOSTS", "").split(","))
        return cls(
            folder=Path(environment.get("TRACKER_DIR") or cls.folder).absolute(),
            hosts=cls.hosts | {name for name in further if name},
        )
