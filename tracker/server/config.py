"""What the server is told by its environment.

TRACKER_DIR           the folder of everything this checkout keeps (default: ./.tracker): the server's tracker.db and
                      the client's spool/
TRACKER_HOSTS         further names under which browsers may reach the server, separated by commas
TRACKER_AUTH          "required": whoever asks needs a key; "open": nobody does. Without it, keys are needed
                      everywhere but on a server that only this machine reaches and that keeps its data in SQLite
TRACKER_ORIGINS       pages of other servers that may ask this one, such as https://lab.example, separated by commas
TRACKER_SECRET        what sessions are signed with, where several servers share them (default: a file in TRACKER_DIR)
TRACKER_DATABASE_URL  where the rows are, if not in SQLite
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

PORT = 8000
PORTS = 20  # how many are tried, from the first on


class BadSetting(ValueError):
    """A variable whose value means nothing; the text says which would."""


@dataclass(frozen=True)
class Settings:
    """See the module's docstring. `host` is the address at which the server listens."""

    folder: Path = Path(".tracker")
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})
    auth: str = ""
    origins: frozenset[str] = frozenset()
    secret: str = field(default="", repr=False)
    database_url: str = field(default="", repr=False)  # it may hold a password
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
            database_url=environment.get("TRACKER_DATABASE_URL", ""),
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
