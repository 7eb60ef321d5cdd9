"""What a point, a name and a status are: the words that client, server and tests share.

A **point** is one measurement of one run: a key ("train/loss"), a step, a value and the time it was logged at.
    step        whole number, from 0 to MAX_INTEGER
    value       a float, NaN and both infinities included; see `encode`
    logged_at   milliseconds since 1970, UTC, by the clock of the process that logged it
A run has at most one point per key and step. When two arrive, `rank` decides, in whatever order they come.

A **status** says how far a run is. Each line reads "from -> where it may go":

    queued     -> running failed killed
    running    -> finished failed killed preempted
    preempted  -> queued running failed killed
    finished   -> running
    failed     -> running
    killed     -> running

The last three are a resume: the same run goes on.
"""

from __future__ import annotations

import json
import math
import re
import time
from enum import StrEnum
from typing import Any

SPOOL_VERSION = 1  # of the lines that a client spools and an export has; see `tracker.client.spool`
MAX_INTEGER = 2**53 - 1  # of a step, a time, an id: the largest that a JavaScript number holds exactly
MAX_NAME = 200  # characters: a table row shows it whole
MAX_KEY = 250  # characters
MAX_TEXT = 10_000  # characters of a description
MAX_SETTINGS = 65_536  # bytes of the params or the tags of a run, as JSON: read with every page of runs
MAX_POINTS = 10_000  # per request: a batch should not keep the one writer from the others
MAX_SHOWN = 100_000  # points or buckets of one curve in one answer
MAX_COMPARED = 20  # runs in one picture: more lines nobody tells apart
LOST_AFTER = 60_000  # ms without a sign of life, after which a running run is shown as lost
EXTERNAL_ID = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"  # see `check_external_id`
MAX_BODY = 2 * 1024 * 1024  # bytes of one request


class Status(StrEnum):
    """How far a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    PREEMPTED = "preempted"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.KILLED}),
    Status.RUNNING: frozenset({Status.FINISHED, Status.FAILED, Status.KILLED, Status.PREEMPTED}),
    Status.PREEMPTED: frozenset({Status.QUEUED, Status.RUNNING, Status.FAILED, Status.KILLED}),
    Status.FINISHED: frozenset({Status.RUNNING}),
    Status.FAILED: frozenset({Status.RUNNING}),
    Status.KILLED: frozenset({Status.RUNNING}),
}
ENDED = frozenset({Status.FINISHED, Status.FAILED, Status.KILLED, Status.PREEMPTED})


def encode(value: float) -> float | str:
    """The value as JSON can carry it, which has no NaN and no infinity: they travel as strings."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def decode(value: float | str) -> float:
    """The inverse of `encode`. Raises ValueError for any other string."""
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        raise ValueError(f'{value!r} is not a number; NaN and infinities are "NaN", "Infinity", "-Infinity"')
    return float(value)


def rank(value: float, logged_at: int) -> tuple[int, bool, float]:
    """Of two points with the same key and step, the one with the higher rank stays.

    The later one wins; logged in the same millisecond, the larger value wins and NaN loses to all. This depends on
    the points alone and not on their order of arrival, so a retry or a late batch always ends in the same curve.
    """
    return (logged_at, False, 0.0) if math.isnan(value) else (logged_at, True, value)


def check_name(name: str, what: str = "name", longest: int = MAX_NAME) -> str:
    """The name itself. Raises ValueError with a sentence for one that could not be stored, shown or typed."""
    if not name or name != name.strip():
        raise ValueError(f"a {what} is not empty and does not begin or end with a space: {name[:80]!r}")
    if len(name) > longest:
        raise ValueError(f"a {what} has at most {longest} characters, this one has {len(name)}")
    if not name.isprintable():
        raise ValueError(f"a {what} has only printable characters: {name[:80]!r}")
    return name


def check_key(key: str) -> str:
    """A metric's key, such as "train/loss". Raises ValueError."""
    return check_name(key, "metric key", MAX_KEY)


def check_external_id(external_id: str) -> str:
    """A run's id as its maker knows it; it also names a file. Raises ValueError."""
    if not re.fullmatch(EXTERNAL_ID, external_id):
        raise ValueError(
            "an external id has 1 to 128 letters, digits, dots, hyphens and underscores, a letter or digit first: "
            f"{external_id[:80]!r}"
        )
    return external_id


def check_settings(settings: dict[str, Any], what: str = "settings") -> dict[str, Any]:
    """The params or tags of a run, themselves. Raises ValueError with a sentence for what could not be kept."""
    try:
        text = json.dumps(settings, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except RecursionError:
        raise ValueError(f"{what} are nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError(f"{what} hold no half of a surrogate pair") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be what JSON can hold ({error}); write an infinity as text") from None
    if re.search(r"(?<!\\)(\\\\)*\\u0000", text):  # JSON's NUL, and not the six characters of its name
        raise ValueError(f"{what} hold no NUL")
    if size > MAX_SETTINGS:
        raise ValueError(f"{what} have at most {MAX_SETTINGS} bytes of JSON, these have {size}")
    return settings


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
