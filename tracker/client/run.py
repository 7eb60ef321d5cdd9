"""A run, as the training sees it.

    with tracker.init("digits", params={"lr": 0.1}) as run:
        run.log({"loss": 0.3, "accuracy": 0.9}, step=7)

`log` appends one line to the spool on the local disk and returns, in microseconds; a thread sends what has gathered
there. A server that is slow, away or down never delays the training and never makes it fail: the points wait in the
spool, and `tracker sync` sends what is left.

    training -> log() -> spool file -> thread -> server
"""

from __future__ import annotations

import json
import math
import operator
import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tracker import values
from tracker.values import Status, now_ms

from . import process
from .courier import Courier
from .http import Api
from .spool import Spool, Writer, own
from .system import Sampler

DEFAULT_URL = "http://127.0.0.1:8000"
MAX_METRICS = 1000  # of one `log()`: with keys of any length, they fit into one request
PATIENCE = 10.0  # s that `finish` waits for the server before it leaves the rest to `tracker sync`

_current: Run | None = None


def init(
    experiment: str,
    *,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    external_id: str | None = None,
    url: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    rank: int | None = None,
    system_every: float | None = None,
    strict: bool = False,
) -> Run:
    """Begins a run of `experiment`, which is made if there is none of that name.

    `params` are what the run was given (learning rate, seed, ...), `tags` what you want to find it by. The same
    `external_id` is the same run: it goes on where it stopped. `url` is the tracker's address (else TRACKER_URL, else
    http://127.0.0.1:8000), `folder` the place for the spool (else TRACKER_DIR, else ./.tracker). Of several processes
    that train one model only the one of `rank` 0 logs (else RANK, SLURM_PROCID, ...); the others get a NoopRun. Every
    `system_every` seconds (None: never) it also logs what the machine does, see `tracker.client.system`. With `strict`,
    a metric that cannot be logged raises an error instead of a warning.

    Raises ValueError for names and params that no tracker would take, and OSError where the spool cannot be written.
    An absent server is not an error.
    """
    global _current
    values.check_name(experiment, "name of an experiment")
    if name is not None:
        values.check_name(name, "name of a run")
    described = {
        "experiment": experiment,
        "external_id": values.check_external_id(external_id or process.external_id(os.environ)),
        "attempt": process.attempt(os.environ),
        "job": process.job(os.environ),
        "name": name,
        "params": values.check_settings(dict(params or {}), "params"),
        "tags": values.check_settings(dict(tags or {}), "tags"),
    }
    kind = Run if (process.rank(os.environ) if rank is None else rank) == 0 else NoopRun
    _current = kind(
        described,
        url=url or os.environ.get("TRACKER_URL") or DEFAULT_URL,
        folder=Path(folder or os.environ.get("TRACKER_DIR") or ".tracker") / "spool",
        system_every=system_every,
        strict=strict,
    )
    return _current


def log(metrics: Mapping[str, float], step: int | None = None) -> None:
    """`Run.log` of the run that was begun last. Raises RuntimeError before the first `init`."""
    if _current is None:
        raise RuntimeError("there is no run yet: begin one with tracker.init(...)")
    _current.log(metrics, step)


class Run:
    """One training. Made by `init`; ended by `finish`, by the end of its `with` block, or by the end of the process."""

    def __init__(
        self, described: dict[str, Any], *, url: str, folder: Path, system_every: float | None, strict: bool
    ) -> None:
        self.external_id: str = described["external_id"]
        self.url = url
        self._described = described
        self._strict = strict
        self._warned = False
        self._ended = False
        self._is_copy = False  # this process is a fork of the one that began the run ...
        self._detached = False  # ... and has not logged anything yet
        self._names: dict[str, str] = {}  # key -> the key as JSON, checked once
        self._step, self._at = -1, 0
        self._courier, self._writer = self._open(folder / f"{self.external_id}.jsonl")
        self._sampler = None if system_every is None else Sampler(self._log_system, system_every)
        process.watch(self)

    def _open(self, file: Path) -> tuple[Courier, Writer]:
        api = Api(self.url)  # first, since it refuses what is no address
        try:
            writer = Writer(file)
            # A run that goes on must log later than it did, even if this machine's clock is behind.
            step, at = writer.newest()
            self._step, self._at = max(self._step, step), max(self._at, at + 1, now_ms())
            writer.begin(_line({"run": self._described, "at": self._at, "v": values.SPOOL_VERSION}))
            courier = Courier(Spool(writer.file), api, self._resumed)
        except OSError as error:
            raise OSError(
                error.errno,
                f"the spool cannot be written ({error.strerror}); name another folder with folder= or TRACKER_DIR",
                str(file),
            ) from None
        courier.start()
        return courier, writer

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs one value per key at `step` (default: the step after the last). NaN and infinities are values too.

        Never raises, unless the run is `strict`: what cannot be logged is left out, with one warning.
        """
        try:
            if self._detached:
                self._open_copy()
            self._writer.append(self._line(metrics, step))
        except (TypeError, ValueError, OverflowError, AttributeError, RuntimeError, OSError) as error:
            if self._strict:
                raise
            self._warn(f"not logged, and no further warning: {error}")
        else:
            if self._writer.waiting:
                self._warn("the disk is full: what is logged waits in memory, and is written once there is room again")

    def rewind(self, step: int) -> None:
        """The training goes on from a checkpoint taken at `step`: what this run has logged after it goes."""
        until = max(now_ms(), self._at)
        self._step, self._at = operator.index(step), until + 1
        self._writer.append(_line({"rewind": self._step, "at": until}))

    def finish(self, status: Status | str = Status.FINISHED) -> None:
        """Ends the run and waits up to ten seconds until the server has all of it. Only the first call counts.

        Raises ValueError for a status in which no run ends.
        """
        global _current
        status = Status(status)
        if status not in values.ENDED:
            raise ValueError(f"a run does not end as {status}, but as {', '.join(sorted(values.ENDED))}")
        if self._ended:
            return
        self._ended = True
        process.unwatch(self)
        if _current is self:
            _current = None
        if self._detached:
            return
        if self._sampler:
            self._sampler.finish()
        if not self._is_copy:
            self._at = max(now_ms(), self._at)
            with suppress(OSError):  # the last of what is waiting; it is told of below
                self._writer.append(_line({"end": status, "at": self._at}))
        delivered = self._courier.finish(PATIENCE)
        file = self._writer.file
        if self._writer.waiting:
            print(f"tracker: the disk is full: what was logged last could not be written to {file}", file=sys.stderr)
        elif not delivered:
            print(
                f"tracker: {self.url} has not got everything yet, but it is all safe in {file}. "
                "Send it with: tracker sync",
                file=sys.stderr,
            )
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.finish()
        else:
            self.finish(Status.KILLED if isinstance(error, KeyboardInterrupt) else Status.FAILED)

    def after_fork(self) -> None:
        """A copy logs into a spool of its own, and its end is not the end of the run."""
        self._is_copy = self._detached = True

    def _open_copy(self) -> None:
        """Most copies never log (a data loader's workers), so this waits for the first that does."""
        self._detached = False
        self._courier, self._writer = self._open(own(self._writer.file))

    def _line(self, metrics: Mapping[str, float], step: int | None) -> bytes:
        """The spool's line. Written by hand: json.dumps would cost more than all the rest of `log`."""
        if self._ended:
            raise RuntimeError("this run has ended; begin another with tracker.init(...)")
        step = self._step + 1 if step is None else operator.index(step)
        if not 0 <= step <= values.MAX_INTEGER:
            raise ValueError(f"a step is a whole number from 0 to {values.MAX_INTEGER}, not {step}")
        said = self._said(metrics)
        # A step logged again must win over the value it had, even within one millisecond or after the clock went back.
        self._at = max(now_ms(), self._at if step > self._step else self._at + 1)
        self._step = step
        return f'{{"log": {{{said}}}, "step": {step}, "at": {self._at}}}\n'.encode()

    def _said(self, metrics: Mapping[str, float]) -> str:
        """The metrics, as JSON has them between its braces."""
        parts = []
        for key, value in metrics.items():
            if type(value) is not float:
                value = _number(key, value)
            shown = repr(value) if math.isfinite(value) else f'"{values.encode(value)}"'
            parts.append(f"{self._names.get(key) or self._name(key)}: {shown}")
        if len(parts) > MAX_METRICS:
            raise ValueError(f"one log() takes at most {MAX_METRICS} metrics, not {len(parts)}")
        return ", ".join(parts)

    def _name(self, key: str) -> str:
        if not isinstance(key, str):
            raise TypeError(f"a metric's key is a text, not {key!r}")
        self._names[key] = json.dumps(values.check_key(key))
        return self._names[key]

    def _log_system(self, sample: Mapping[str, float]) -> None:
        """From the sampler's thread, which must not move the training's step."""
        if not self._ended:
            said, step, at = self._said(sample), max(self._step, 0), max(now_ms(), self._at)
            with suppress(OSError):
                self._writer.append(f'{{"log": {{{said}}}, "step": {step}, "at": {at}}}\n'.encode())

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(f"tracker: {text}", stacklevel=3)

    def _resumed(self, last_logged_at: int) -> None:
        """The server knows this run from another machine, whose clock was ahead."""
        self._at = max(self._at, last_logged_at + 1)


class NoopRun(Run):
    """The run of a process that trains along and does not log: every call is allowed and does nothing."""

    def __init__(self, described: dict[str, Any], *, url: str, **_: Any) -> None:
        self.external_id = described["external_id"]
        self.url = url

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def rewind(self, step: int) -> None:
        """Nothing."""

    def finish(self, status: Status | str = Status.FINISHED) -> None:
        """Nothing."""


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode() + b"\n"


def _number(key: str, value: Any) -> float:
    """What numbers of every library become: NumPy's, PyTorch's, Python's. Raises TypeError for a text."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"the value of {key!r} is not a number: {value!r}")
    return float(value)
