"""A private tracker, for a lesson to log to and to take away (see `server` for what all private servers can do).

    server = Tracker()
    tracker.init("digits", url=server.url)

It keeps its data in its folder, so they are there again after `kill` and `restart`. What a tracker of your own is told
by the environment (TRACKER_...) does not count here.
"""

from __future__ import annotations

import os
import sys

from .guard import Plan
from .server import Server, free_port, replies

ALIVE = b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"


class Tracker(Server):
    """A running server. `url` is what `tracker.init` wants. Raises NoService."""

    title = "The tracker"
    switch = "WORKBOOK_TRACKER"

    @classmethod
    def answers_at(cls, url: str) -> bool:
        return replies(url, ALIVE, b"HTTP/1.1 200")

    def _find(self) -> None:
        """It is ours."""

    def _plan(self) -> Plan:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        serve = [sys.executable, "-m", "tracker", "serve", "--quiet"]
        serve += ["--dir", str(self._folder), "--port", str(port)]
        return {"prepare": [], "beside": [], "serve": serve, "stop": self.stop}

    def _environment(self) -> dict[str, str]:
        return {name: "" for name in os.environ if name.startswith("TRACKER_")}
