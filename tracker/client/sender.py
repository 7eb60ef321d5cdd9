"""From the spool to the server: what a run's thread does while training goes on, and `tracker sync` afterwards.

    spool line  ->  request
    run             POST /experiments (or find it by name), POST /experiments/{id}/runs
    log             many lines at once: POST /runs/{id}/metrics
    rewind          POST /runs/{id}/rewind
    end             PATCH /runs/{id}
    (15 s without)  POST /runs/{id}/metrics with no points: still alive

The cursor moves on after the answer. A crash between the two sends the same lines once more, and nothing changes.
"""

from __future__ import annotations

import json
import re
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tracker.values import MAX_BODY, MAX_POINTS

from .http import Api, Refused, Unanswered, pauses
from .spool import VERSION, Spool

# Half of what the server takes: the line that fills a request may still be added, and others get their turn sooner.
BATCH_POINTS = MAX_POINTS // 2
BATCH_BYTES = MAX_BODY // 2
INTERVAL = 0.2  # s between two looks at the spool: what gathered meanwhile travels together
HEARTBEAT = 15.0  # s; the server calls a run lost after a minute of silence


class Sender:
    """Sends one spool. Only for whom `Spool.sending` said True.

    `resumed` is told when the server has points of this run already: the time of the newest (ms).
    """

    def __init__(self, spool: Spool, api: Api, resumed: Callable[[int], None] = lambda _: None) -> None:
        self.spool = spool
        self._api = api
        self._resumed = resumed
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
            self._set_aside(lines, refused)
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
            self._deliver_points(
                [
                    {"key": key, "value": value, "step": entry["step"], "at": entry["at"]}
                    for entry in entries
                    for key, value in entry["log"].items()
                ]
            )
        elif "run" in first:
            self._run_id = self._create(first)
        elif "rewind" in first:
            self._api.request("POST", f"/runs/{self._run()}/rewind", {"step": first["rewind"], "at": first["at"]})
        elif "end" in first:
            self._api.request("PATCH", f"/runs/{self._run()}", {"status": first["end"]})
        else:
            raise Refused(0, "this is no line of a spool")

    def _deliver_points(self, points: list[dict[str, Any]]) -> None:
        """Points that the server names as bad are set aside, and the others sent without them."""
        while True:
            try:
                self._api.request("POST", f"/runs/{self._run()}/metrics", {"points": points})
            except Refused as refused:
                named = (re.match(r"points\[(\d+)\]", place) for place in refused.places)
                bad = {int(found[1]) for found in named if found}
                if not bad:
                    raise
                self._set_aside([json.dumps(points[i]).encode() for i in sorted(bad)], refused)
                points = [point for i, point in enumerate(points) if i not in bad]
            else:
                return

    def _set_aside(self, lines: list[bytes], refused: Refused) -> None:
        file = self.spool.set_aside(lines, str(refused))
        if not self._warned:
            self._warned = True
            warnings.warn(f"the tracker refused a part of this run, kept in {file}: {refused}", stacklevel=2)

    def heartbeat(self) -> None:
        """Says that the run is alive though it logs nothing. Raises Unanswered and Refused."""
        if self._run_id is not None:
            self._api.request("POST", f"/runs/{self._run_id}/metrics", {"points": []})

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
        if created["last_logged_at"] is not None:
            self._resumed(created["last_logged_at"])
        run_id: int = created["id"]
        return run_id


class Courier:
    """The thread that sends a spool while its run goes on."""

    def __init__(self, spool: Spool, api: Api, resumed: Callable[[int], None]) -> None:
        self._spool, self._api = spool, api
        self._sender = Sender(spool, api, resumed)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send, name=f"tracker {spool.file.stem}", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Waits until the server has all of it; False if that takes longer, and the thread goes on alone."""
        self._closing.set()
        self._thread.join(seconds)
        if self._thread.is_alive() or not self._spool.drained:
            return False
        self._spool.close()
        self._api.close()
        return True

    def _send(self) -> None:
        with self._spool.sending() as allowed:
            if not allowed:  # another process sends this run's spool, and will find our lines in it
                return
            pause, heard = pauses(), time.monotonic()
            while True:
                closing = self._closing.is_set()
                try:
                    while self._sender.send():
                        pause, heard = pauses(), time.monotonic()
                    if time.monotonic() - heard > HEARTBEAT:
                        heard = time.monotonic()
                        with suppress(Refused):  # a deleted run: its next points will say so
                            self._sender.heartbeat()
                except Unanswered as unanswered:
                    seconds = max(next(pause), unanswered.retry_after)
                    if closing:
                        time.sleep(seconds)
                    elif self._closing.wait(seconds):
                        pause = pauses()  # the end is worth an attempt at once
                    continue
                if closing:
                    return
                self._closing.wait(INTERVAL)


def sync(folder: Path, url: str) -> tuple[int, int]:
    """Sends what the spools of `folder` still hold: how many of them were sent, and how many another process is at.

    Raises Unanswered.
    """
    sent = busy = 0
    for file in sorted((folder / "spool").glob("*.jsonl")):
        with closing(Spool(file)) as spool, closing(Api(url)) as api:
            if spool.drained:
                continue
            with spool.sending() as allowed:
                if not allowed:
                    busy += 1
                    continue
                sender = Sender(spool, api)
                while sender.send():
                    pass
                sent += 1
    return sent, busy


def _entry(line: bytes) -> dict[str, Any]:
    """What a line says; an empty entry for one that nobody can read."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
