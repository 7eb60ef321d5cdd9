"""What travels: the requests we accept, the answers we give, and the refusals.

Requests are strict: an unknown field is more often a typing error than a wish. Answers are wide: a client must expect
new fields. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity"; times are milliseconds, UTC.

Refusals are RFC 9457 `application/problem+json`, whose `detail` is a sentence that says what to do:

    Refusal
    ├── BadCursor           400   a page that we did not hand out
    ├── NotFound            404
    ├── NameTaken           409
    ├── IllegalTransition   409   such as finished -> failed
    └── TooManyPoints       413
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from tracker import values
from tracker.values import Status


class Refusal(Exception):
    """A request that we understood and will not carry out."""

    status: ClassVar[int]
    kind: ClassVar[str]


class BadCursor(Refusal):
    """The cursor is none of ours."""

    status, kind = 400, "bad-cursor"


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


class Problem(BaseModel):
    """A refusal, as RFC 9457 writes it."""

    type: str = Field(examples=["urn:tracker:name-taken"])
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["an experiment named 'digits' exists already"])
    errors: list[dict[str, str]] | None = Field(default=None, description="for 422: `at` which place, `says` what")


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text holds no NUL")
    return text


def _storable_json(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(settings, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text holds no half of a surrogate pair") from None
    except ValueError:
        raise ValueError('NaN and infinities cannot be kept here; write them as text, such as "inf"') from None
    if "\\u0000" in text:
        raise ValueError("a text holds no NUL")
    if size > values.MAX_SETTINGS:
        raise ValueError(f"at most {values.MAX_SETTINGS} bytes of JSON, these are {size}")
    return settings


Name = Annotated[str, AfterValidator(values.check_name)]
Key = Annotated[str, AfterValidator(values.check_key)]
ExternalId = Annotated[str, AfterValidator(values.check_external_id)]
Description = Annotated[str, Field(max_length=values.MAX_TEXT), AfterValidator(_storable)]
Settings = Annotated[dict[str, Any], AfterValidator(_storable_json)]
Step = Annotated[StrictInt, Field(ge=0, le=values.MAX_INTEGER)]
Time = Annotated[StrictInt, Field(ge=0, le=values.MAX_INTEGER)]
NonFinite = Literal["NaN", "Infinity", "-Infinity"]
Value = Annotated[StrictFloat, Field(allow_inf_nan=False)] | NonFinite


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True, ser_json_inf_nan="strings")


class ExperimentCreate(_Request):
    """A new experiment."""

    name: Name
    description: Description = ""


class RunCreate(_Request):
    """A new run, or the next attempt at one: the same `external_id` is the same run."""

    external_id: ExternalId | None = Field(default=None, description="made by the client; without one, a new run")
    attempt: ExternalId | None = Field(
        default=None, description="the process; repeating the request from one attempt is not a restart"
    )
    name: Name | None = None
    status: Literal[Status.QUEUED, Status.RUNNING] = Status.RUNNING
    params: Settings = {}
    tags: Settings = {}


class RunPatch(_Request):
    """What may change about a run; what is left out stays."""

    status: Status | None = None
    name: Name | None = None
    tags: Settings | None = None


class PointIn(_Request):
    """One point. A `value` of null is refused: log "NaN", or nothing."""

    key: Key
    value: Value
    step: Step
    at: Time | None = Field(default=None, description="ms, UTC; without it, the server's clock")


class Batch(_Request):
    """Points, all of which are stored, or none."""

    points: list[PointIn]


class ExperimentOut(_Answer):
    """An experiment."""

    id: int
    name: str
    owner: str
    description: str
    created_at: int


class ExperimentItem(ExperimentOut):
    """An experiment in a list."""

    run_count: int


class Latest(_Answer):
    """The newest point of one curve."""

    step: int
    value: float
    at: int


class RunOut(_Answer):
    """A run."""

    id: int
    experiment_id: int
    external_id: str
    name: str
    status: Status
    params: dict[str, Any]
    tags: dict[str, Any]
    restarts: int
    created_at: int
    started_at: int | None
    heartbeat_at: int | None
    finished_at: int | None
    last_logged_at: int | None


class RunItem(RunOut):
    """A run in a list, with the newest point of each of its curves."""

    latest: dict[str, Latest]


Item = TypeVar("Item")


class Page(_Answer, Generic[Item]):
    """A part of a list; `next` is the cursor of the following part, or null."""

    items: list[Item]
    next: str | None


class ExperimentWithRuns(ExperimentOut):
    """An experiment and the first page of its runs."""

    runs: Page[RunItem]


class Accepted(_Answer):
    """How many points were stored."""

    accepted: int


class Curve(_Answer):
    """One curve, sorted by step: three columns of equal length. `version` rises whenever the curve changes."""

    key: str
    version: int
    steps: list[int]
    values: list[float]
    at: list[int]


class Health(_Answer):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str


def to_cursor(last_id: int) -> str:
    """The cursor of the page that begins below `last_id`, newest first; opaque, so that what is in it may change."""
    return base64.urlsafe_b64encode(json.dumps(["id", last_id]).encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> int:
    """The `last_id` of a cursor. Raises BadCursor."""
    try:
        kind, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if kind == "id" and type(last_id) is int and 0 < last_id < 2**63:
            return last_id
    except (ValueError, TypeError):
        pass
    raise BadCursor("this cursor is not one that we handed out; begin again without one")


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
        elif kind in ("float_type", "literal_error") and "value" in place:
            says = 'send a number, or one of the strings "NaN", "Infinity" and "-Infinity"'
        elif kind == "finite_number":
            says = 'JSON has no such number; send "NaN", "Infinity" or "-Infinity" as a string'
        said.setdefault(_path(place), says)
        if len(said) == at_most:
            break
    return [{"at": at, "says": says} for at, says in said.items()]


def _path(place: Sequence[str | int]) -> str:
    """("body", "points", 3, "value", "float") -> points[3].value; the last is the branch of a union, not a place."""
    path = ""
    for part in place[1:]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "float" and not part.startswith("literal["):
            path += f".{part}" if path else part
    return path or str(place[0])
