"""From the lines of a spool to the server: while training goes on (`courier`), or afterwards (`sync`).

    line            ->  request
    experiment      POST /experiments (a name that is taken is that experiment)
    run             the same, then POST /experiments/{id}/runs
    log             many lines at once: POST /runs/{id}/metrics
    rewind          POST /runs/{id}/rewind
    end             PATCH /runs/{id}
    (15 s without)  POST /runs/{id}/metrics with no points: still alive

The cursor moves on after the answer. A crash between the two sends the same lines once more, and nothing changes.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from tracker.values import MAX_BODY, MAX_POINTS, SPOOL_VERSION, now_ms

from .http import Api, Refused
from .spool import Spool, set_aside

# Half of what the server takes: the line that fills a request may still be added, and others get their turn sooner.
BATCH_POINTS = MAX_POINTS // 2
BATCH_BYTES = MAX_BODY // 2
JUST_NOW = 10_000  # ms


@dataclass
class Batch:
    """Lines that go together: log lines, or a single other one; what they say, and the byte after them."""

    lines: list[bytes] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    end: int = 0


def batches(lines: Iterable[tuple[bytes, int]]) -> Iterator[Batch]:
    """Lines, each with the byte after it, as batches that fit into a request."""
    batch, points, size = Batch(), 0, 0
    for line, after in lines:
        entry = entry_of(line)
        if batch.lines and "log" not in entry:
            yield batch
            batch, points, size = Batch(), 0, 0
        batch.lines.append(line)
        batch.entries.append(entry)
        batch.end = after
        logged = entry.get("log", {})
        points += len(logged)
        size += len(line) + 60 * len(logged)  # 60: the names of the four fields, a step and a time
        if "log" not in entry or points >= BATCH_POINTS or size >= BATCH_BYTES:
            yield batch
            batch, points, size = Batch(), 0, 0
    if batch.lines:
        yield batch


class Sender:
    """Delivers the lines of `file`, in order, to the tracker at `api`.

    With `live`, what was written just now happens now by the server's clock, so that a clock that differs from it does
    no harm. `resumed` is told when the server has points of this run already: the time of the newest (ms).
    """

    def __init__(
        self, file: Path, api: Api, *, live: bool = False, resumed: Callable[[int], None] = lambda _: None
    ) -> None:
        self.refused = 0  # lines and points that the server would not have
        self._file = file
        self._api = api
        self._live = live
        self._resumed = resumed
        self._run_id: int | None = None

    def forward(self, spool: Spool) -> bool:
        """Delivers the next batch of the spool; False when there is none. Only for whom `Spool.sending` said True.

        Raises Unanswered.
        """
        start = spool.cursor
        batch = next(batches(spool.lines(start)), None)
        if batch is None:
            return False
        if self._run_id is None and start:  # a new process goes on where another one stopped
            with suppress(Refused):  # then the batch is, too
                self._find_run(spool, start)
        self.deliver(batch)
        spool.cursor = batch.end
        return True

    def deliver(self, batch: Batch) -> None:
        """Delivers a batch. What the server refuses is set aside, with one warning: it would refuse it for ever.

        Raises Unanswered.
        """
        try:
            self._deliver(batch.entries)
        except Refused as refused:
            self._set_aside(batch.lines, refused)

    def heartbeat(self) -> None:
        """Says that the run is alive though it logs nothing. Raises Unanswered and Refused."""
        if self._run_id is not None:
            self._api.request("POST", f"/runs/{self._run_id}/metrics", {"points": []})

    def _deliver(self, entries: list[dict[str, Any]]) -> None:
        first = entries[0]
        if "log" in first:
            self._deliver_points(entries)
        elif "experiment" in first:
            self._create_experiment(first["experiment"] | self._when(first))
        elif "run" in first:
            self._create_run(first)
        elif "rewind" in first:
            self._api.request("POST", f"/runs/{self._run()}/rewind", {"step": first["rewind"], "at": first["at"]})
        elif "end" in first:
            self._api.request("PATCH", f"/runs/{self._run()}", {"status": first["end"]} | self._when(first))
        else:
            raise Refused(0, "this is no line of a spool")

    def _deliver_points(self, entries: list[dict[str, Any]]) -> None:
        """In columns, which are half as long. If the server names some as bad, one by one: those that it names again
        are set aside, and the others sent without them."""
        path = f"/runs/{self._run()}/metrics"
        series: dict[str, dict[str, list[Any]]] = {}
        for entry in entries:
            for key, value in entry["log"].items():
                columns = series.setdefault(key, {"steps": [], "values": [], "at": []})
                columns["steps"].append(entry["step"])
                columns["values"].append(value)
                columns["at"].append(entry["at"])
        try:
            self._api.request("POST", path, {"series": series})
        except Refused as refused:
            if not refused.places:
                raise
            self._deliver_good_points(path, entries)

    def _deliver_good_points(self, path: str, entries: list[dict[str, Any]]) -> None:
        points = [
            {"key": key, "value": value, "step": entry["step"], "at": entry["at"]}
            for entry in entries
            for key, value in entry["log"].items()
        ]
        while True:
            try:
                self._api.request("POST", path, {"points": points})
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
        kept = set_aside(self._file, lines, str(refused))
        if not self.refused:
            warnings.warn(f"the tracker refused a part of this run, kept in {kept}: {refused}", stacklevel=2)
        self.refused += len(lines)

    def _run(self) -> int:
        """The server's id of the run that the lines belong to."""
        if self._run_id is None:
            raise Refused(0, f"{self._file} says nowhere which run it is")
        return self._run_id

    def _find_run(self, spool: Spool, end: int) -> None:
        """From the lines that have been sent: the server is told once more, and says which run it is."""
        start = 0
        while start < end and (block := list(spool.lines(start))):
            for line, _ in takewhile(lambda found: found[1] <= end, block):
                if line.startswith(b'{"run"'):
                    self._create_run(entry_of(line))
            start = block[-1][1]

    def _when(self, entry: dict[str, Any]) -> dict[str, int]:
        """The time of a line; nothing for one that happens now."""
        return {} if self._live and now_ms() - entry["at"] < JUST_NOW else {"at": entry["at"]}

    def _create_experiment(self, described: dict[str, Any]) -> int:
        try:
            experiment = self._api.request("POST", "/experiments", described)
        except Refused as refused:
            if refused.status != 409:
                raise
            experiment = self._api.experiment(described["name"])
        return int(experiment["id"])

    def _create_run(self, entry: dict[str, Any]) -> None:
        self._run_id = None  # should this one be refused, the lines after it must not go to the one before
        if entry.get("v") != SPOOL_VERSION:
            raise Refused(0, f"this spool has version {entry.get('v')}, this tracker reads version {SPOOL_VERSION}")
        run = entry["run"] | self._when(entry)
        experiment_id = self._create_experiment({"name": run.pop("experiment", None)} | self._when(entry))
        created = self._api.request("POST", f"/experiments/{experiment_id}/runs", run)
        self._run_id = created["id"]
        newest = max(created["last_logged_at"] or 0, created["finished_at"] or 0)
        if newest:
            self._resumed(newest)


def entry_of(line: bytes) -> dict[str, Any]:
    """What a line says; an empty entry for one that nobody can read."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entry, dict) or "at" not in entry or ("log" in entry and "step" not in entry):
        return {}
    described = (entry.get(what, {}) for what in ("experiment", "run", "log"))
    return entry if all(isinstance(said, dict) for said in described) else {}
