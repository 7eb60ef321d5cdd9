"""From the spool to the server: what a run's thread does while training goes on, and `tracker sync` afterwards.

    spool line  ->  request
    run             POST /experiments (or find it by name), POST /experiments/{id}/runs
    log             many lines at once: POST /runs/{id}/metrics
    end             PATCH /runs/{id}

The cursor moves on after the answer. A crash between the two sends the same lines once more, and nothing changes.
"""

from __future__ import annotations

import json
import warnings
from typing import Any
from urllib.parse import quote

from tracker.values import MAX_BODY, MAX_POINTS

from .http import Api, Refused
from .spool import VERSION, Spool

# Half of what the server takes: the line that fills a request may still be added, and others get their turn sooner.
BATCH_POINTS = MAX_POINTS // 2
BATCH_BYTES = MAX_BODY // 2


class Sender:
    """Sends one spool. Only for whom `Spool.sending` said True."""

    def __init__(self, spool: Spool, api: Api) -> None:
        self.spool = spool
        self._api = api
        self._run_id: int | None = None
        self._warned = False

    def send(self) -> bool:
        """Sends the next batch, or the next single line; False when there is nothing to send. Raises Unanswered.

        Lines that the server refuses are set aside with one warning: it would refuse them for ever.
        """
        lines, entries, end = self._next()
        if not lines:
            return False
        try:
            self._deliver(entries)
        except Refused as refused:
            file = self.spool.set_aside(lines, str(refused))
            if not self._warned:
                self._warned = True
                warnings.warn(f"the tracker refused a part of this run, kept in {file}: {refused}", stacklevel=2)
        self.spool.cursor = end
        return True

    def _next(self) -> tuple[list[bytes], list[dict[str, Any]], int]:
        """Lines that go together, what they say, and the byte after them: log lines up to a batch, or one other."""
        lines: list[bytes] = []
        entries: list[dict[str, Any]] = []
        points = size = end = 0
        for line, after in self.spool.lines(self.spool.cursor):
            entry = _entry(line)
            if lines and "log" not in entry:
                break
            lines.append(line)
            entries.append(entry)
            end = after
            logged = entry.get("log", {})
            points += len(logged)
            size += len(line) + 60 * len(logged)  # 60: the names of the four fields, a step and a time
            if "log" not in entry or points >= BATCH_POINTS or size >= BATCH_BYTES:
                break
        return lines, entries, end

    def _deliver(self, entries: list[dict[str, Any]]) -> None:
        first = entries[0]
        if "log" in first:
            points = [
                {"key": key, "value": value, "step": entry["step"], "at": entry["at"]}
                for entry in entries
                for key, value in entry["log"].items()
            ]
            self._api.request("POST", f"/runs/{self._run()}/metrics", {"points": points})
        elif "run" in first:
            self._run_id = self._create(first)
        elif "end" in first:
            self._api.request("PATCH", f"/runs/{self._run()}", {"status": first["end"]})
        else:
            raise Refused(0, "this is no line of a spool")

    def _run(self) -> int:
        """The server's id of the run that the lines at the cursor belong to."""
        if self._run_id is None:  # a new process goes on where another one stopped
            start = 0
            while start < self.spool.cursor:
                for line, after in self.spool.lines(start):
                    if start < self.spool.cursor and line.startswith(b'{"run"'):
                        self._run_id = self._create(_entry(line))
                    start = after
            if self._run_id is None:
                raise Refused(0, f"{self.spool.file} says nowhere which run it is")
        return self._run_id

    def _create(self, entry: dict[str, Any]) -> int:
        if entry.get("v") != VERSION:
            raise Refused(0, f"this spool has version {entry.get('v')}, this tracker reads version {VERSION}")
        run = dict(entry["run"])
        name = run.pop("experiment")
        try:
            experiment = self._api.request("POST", "/experiments", {"name": name})
        except Refused as refused:
            if refused.status != 409:
                raise
            experiment = self._api.request("GET", f"/experiments?name={quote(name)}")["items"][0]
        created = self._api.request("POST", f"/experiments/{experiment['id']}/runs", run)
        run_id: int = created["id"]
        return run_id


def _entry(line: bytes) -> dict[str, Any]:
    """What a line says; an empty entry for one that nobody can read."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
