"""A run, as the training sees it.

    with tracker.init("digits", params={"lr": 0.1}) as run:
        run.log({"loss": 0.3, "accuracy": 0.9}, step=7)

`log` appends one line to the spool on the local disk and returns, in microseconds; a thread sends what has gathered
there. A server that is slow, away or down never delays the training and never makes it fail: the points wait in the
spool, and `tracker sync` sends what is left.

    training -> log() -> spool file -> thread -> server
"""

from __future__ import annotations

import atexit
import json
import math
import operator
import os
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tracker import values
from tracker.values import Status, now_ms

from .http import Api, Unanswered, pauses
from .sender import Sender
from .spool import VERSION, Spool

DEFAULT_URL = "http://127.0.0.1:8000"
MAX_METRICS = 1000  # of one `log()`: with keys of any length, they fit into one request
INTERVAL = 0.2  # s between two looks at the spool: what gathered meanwhile travels together
PATIENCE = 10.0  # s that `finish` waits for the server before it leaves the rest to `tracker sync`

_current: Run | None = None
_uncaught = False


def init(
    experiment: str,
    *,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    external_id: str | None = None,
    url: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    strict: bool = False,
) -> Run:
    """Begins a run of `experiment`, which is made if there is none of that name.

    `params` are what the run was given (learning rate, seed, ...), `tags` what you want to find it by. The same
    `external_id` is the same run: it goes on where it stopped. `url` is the tracker's address (else TRACKER_URL, else
    http://127.0.0.1:8000), `folder` the place for the spool (else TRACKER_DIR, else ./.tracker). With `strict`, a
    metric that cannot be logged raises an error instead of a warning.

    Raises ValueError for names and params that no tracker would take, and OSError where the spool cannot be written.
    An absent server is not an error.
    """
    global _current
    _current = Run(
        experiment,
        name=name,
        params=params,
        tags=tags,
        external_id=external_id,
        url=url or os.environ.get("TRACKER_URL") or DEFAULT_URL,
        folder=Path(folder or os.environ.get("TRACKER_DIR") or ".tracker"),
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
        self,
        experiment: str,
        *,
        name: str | None,
        params: Mapping[str, Any] | None,
        tags: Mapping[str, Any] | None,
        external_id: str | None,
        url: str,
        folder: Path,
        strict: bool,
    ) -> None:
        values.check_name(experiment, "name of an experiment")
        if name is not None:
            values.check_name(name, "name of a run")
        self.external_id = values.check_external_id(external_id) if external_id is not None else uuid.uuid4().hex
        self.url = url
        self._api = Api(url)
        self._strict = strict
        self._warned = False
        self._ended = False
        self._step = -1
        self._at = 0
        self._names: dict[str, str] = {}  # key -> the key as JSON, checked once

        described = {
            "experiment": experiment,
            "external_id": self.external_id,
            "attempt": uuid.uuid4().hex,
            "name": name,
            "params": _settings("params", params),
            "tags": _settings("tags", tags),
        }
        self._spool = Spool(folder / "spool" / f"{self.external_id}.jsonl")
        self._write({"run": described, "at": now_ms(), "v": VERSION})
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._send, name=f"tracker {self.external_id}", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)
        _notice_uncaught()

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs one value per key at `step` (default: the step after the last). NaN and infinities are values too.

        Never raises, unless the run is `strict`: what cannot be logged is left out, with one warning.
        """
        try:
            self._spool.append(self._line(metrics, step))
        except (TypeError, ValueError, OverflowError, AttributeError, RuntimeError, OSError) as error:
            if self._strict:
                raise
            if not self._warned:
                self._warned = True
                warnings.warn(f"tracker: not logged, and no further warning: {error}", stacklevel=2)

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
        atexit.unregister(self._at_exit)
        if _current is self:
            _current = None
        self._write({"end": status, "at": now_ms()})
        self._closing.set()
        self._thread.join(PATIENCE)
        if self._spool.drained:
            self._spool.close()
            self._api.close()
        else:
            print(
                f"tracker: {self.url} has not answered; everything that was logged is safe in {self._spool.file}. "
                "Send it with: tracker sync",
                file=sys.stderr,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.finish()
        else:
            self.finish(Status.KILLED if isinstance(error, KeyboardInterrupt) else Status.FAILED)

    def _line(self, metrics: Mapping[str, float], step: int | None) -> bytes:
        """The spool's line. Written by hand: json.dumps would cost more than all the rest of `log`."""
        if self._ended:
            raise RuntimeError("this run has ended; begin another with tracker.init(...)")
        step = self._step + 1 if step is None else operator.index(step)
        if not 0 <= step <= values.MAX_INTEGER:
            raise ValueError(f"a step is a whole number from 0 to {values.MAX_INTEGER}, not {step}")
        parts = []
        for key, value in metrics.items():
            if type(value) is not float:
                value = _number(key, value)
            shown = repr(value) if math.isfinite(value) else f'"{values.encode(value)}"'
            parts.append(f"{self._names.get(key) or self._name(key)}: {shown}")
        if len(parts) > MAX_METRICS:
            raise ValueError(f"one log() takes at most {MAX_METRICS} metrics, not {len(parts)}")
        # A step logged again must win over the value it had, even within one millisecond or after the clock went back.
        self._at = max(now_ms(), self._at if step > self._step else self._at + 1)
        self._step = step
        return f'{{"log": {{{", ".join(parts)}}}, "step": {step}, "at": {self._at}}}\n'.encode()

    def _name(self, key: str) -> str:
        if not isinstance(key, str):
            raise TypeError(f"a metric's key is a text, not {key!r}")
        self._names[key] = json.dumps(values.check_key(key))
        return self._names[key]

    def _write(self, entry: dict[str, Any]) -> None:
        self._spool.append(json.dumps(entry).encode() + b"\n")

    def _send(self) -> None:
        """The thread: sends until the run has ended and the server has all of it."""
        with self._spool.sending() as allowed:
            if not allowed:  # another process sends this run's spool, and will find our lines in it
                return
            sender = Sender(self._spool, self._api)
            pause = pauses()
            while True:
                closing = self._closing.is_set()
                try:
                    while sender.send():
                        pause = pauses()
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

    def _at_exit(self) -> None:
        self.finish(Status.FAILED if _uncaught else Status.FINISHED)


def _number(key: str, value: Any) -> float:
    """What numbers of every library become: NumPy's, PyTorch's, Python's. Raises TypeError for a text."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"the value of {key!r} is not a number: {value!r}")
    return float(value)


def _settings(what: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Raises ValueError for what JSON cannot hold."""
    settings = dict(settings or {})
    try:
        text = json.dumps(settings, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be what JSON can hold ({error}); write an infinity as text") from None
    if len(text.encode()) > values.MAX_SETTINGS:
        raise ValueError(f"{what} have at most {values.MAX_SETTINGS} bytes of JSON, these have {len(text)}")
    return settings


def _notice_uncaught() -> None:
    """From now on, remember that an exception ended the process: `atexit` does not tell."""
    before = sys.excepthook
    if getattr(before, "is_tracker", False):
        return

    def notice(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _uncaught
        _uncaught = True
        before(kind, error, trace)

    notice.is_tracker = True  # type: ignore[attr-defined]
    sys.excepthook = notice


def sync(folder: Path, url: str) -> tuple[int, int]:
    """Sends what the spools of `folder` still hold: how many of them were sent, and how many another process is at.

    Raises Unanswered.
    """
    sent = busy = 0
    for file in sorted((folder / "spool").glob("*.jsonl")):
        spool = Spool(file)
        api = Api(url)
        try:
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
        finally:
            spool.close()
            api.close()
    return sent, busy
