"""Refusals: what we understand and will not do, and how it is said.

Each is an RFC 9457 `application/problem+json`, whose `detail` is a sentence that says what to do:

    Refusal
    ├── BadCursor           400   a page that we did not hand out, or that belongs to another question
    ├── Unauthorized        401   no key, or none that counts
    ├── Forbidden           403   a key that may not do this
    ├── NotFound            404   also what is somebody else's
    ├── NameTaken           409
    ├── IllegalTransition   409   such as finished -> failed
    ├── TooManyPoints       413
    ├── TooManyRequests     429   of one caller, for now
    ├── TooManyStreams      503   for now
    └── Unavailable         503   what it needs is away or full, for now
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field


class Refusal(Exception):
    """A request that we understood and will not carry out."""

    status: ClassVar[int]
    kind: ClassVar[str]
    retry_after: int | None = None  # s, where it may be granted later
    headers: ClassVar[dict[str, str]] = {}


class BadCursor(Refusal):
    """The cursor is none of ours."""

    status, kind = 400, "bad-cursor"


class Unauthorized(Refusal):
    """We do not know who asks."""

    status, kind, headers = 401, "unauthorized", {"WWW-Authenticate": "Bearer"}


class Forbidden(Refusal):
    """We know who asks, and they may not."""

    status, kind = 403, "forbidden"


class NotFound(Refusal):
    """There is no such thing."""

    status, kind = 404, "not-found"


class NameTaken(Refusal):
    """Another experiment has that name."""

    status, kind = 409, "name-taken"


class IllegalTransition(Refusal):
    """A run in this status cannot go to that one."""

    status, kind = 409, "illegal-transition"


class TooManyPoints(Refusal):
    """More points than one request may hold."""

    status, kind = 413, "too-large"


class Unavailable(Refusal):
    """What this needs is away, or full."""

    status, kind, retry_after = 503, "unavailable", 2


class TooManyRequests(Refusal):
    """More requests than one caller may make: `rate` a second."""

    status, kind = 429, "too-many-requests"

    def __init__(self, rate: float, retry_after: int) -> None:
        super().__init__(f"a caller may make {rate:g} requests a second here; try again in {retry_after} s")
        self.retry_after = retry_after


class TooManyStreams(Refusal):
    """As many streams of events are open as this server allows, or it is about to end."""

    status, kind, retry_after = 503, "too-many-streams", 5


class Problem(BaseModel):
    """A refusal, as RFC 9457 writes it."""

    type: str = Field(examples=["urn:tracker:name-taken"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["an experiment named 'digits' exists already"])
    errors: list[dict[str, str]] | None = Field(default=None, description="for 422: `at` which place, `says` what")


def in_sentences(errors: Sequence[Any], at_most: int = 10) -> list[dict[str, str]]:
    """Pydantic's errors as `at` (points[3].value) and `says`, one for each place."""
    said: dict[str, str] = {}
    for error in errors:
        kind, place, says = error["type"], error["loc"], error["msg"].removeprefix("Value error, ")
        if kind == "json_invalid":
            place, says = place[:1], f"the body is not JSON: {error['ctx']['error']} at character {place[1]}"
        elif kind == "extra_forbidden":
            says = "there is no such field"
        elif kind == "model_attributes_type" and len(place) == 1:
            says = "send a JSON object, with the header Content-Type: application/json"
        said.setdefault(_path(place), says)
        if len(said) == at_most:
            break
    return [{"at": at, "says": says} for at, says in said.items()]


def _path(place: Sequence[str | int]) -> str:
    """("body", "points", 3, "value") -> points[3].value"""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place[1:])
    return path.removeprefix(".") or str(place[0])
