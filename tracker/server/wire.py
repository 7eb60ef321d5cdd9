"""What travels: the requests we accept and the answers we give.

Requests are strict: an unknown field is more often a typing error than a wish. Answers are wide: a client must expect
new fields. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity"; times are milliseconds, UTC.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, NotRequired, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    SkipValidation,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema as core
from typing_extensions import TypedDict  # pydantic takes the one of `typing` from Python 3.12 on

from tracker import values
from tracker.values import Status

from .digits import Rows


def _one_of(says: str, *kinds: core.CoreSchema) -> GetPydanticSchema:
    """The first of these that fits; else this one sentence, where pydantic's own union has one for each. All of it runs
    inside pydantic: a validator in Python, called for every number, would be most of the cost of a batch."""
    union = core.union_schema(list(kinds), mode="left_to_right")
    told = core.custom_error_schema(union, custom_error_type="told", custom_error_message=says)
    return GetPydanticSchema(lambda *_: told)


# What `values.check_name` accepts, in the words of JSON Schema: letters, marks, numbers, punctuation and symbols, and
# spaces between them.
_WORD = r"[\p{L}\p{M}\p{N}\p{P}\p{S}]+"
_PRINTABLE = {"type": "string", "minLength": 1, "pattern": f"^{_WORD}( +{_WORD})*$"}
_EXTERNAL_ID = WithJsonSchema({"type": "string", "pattern": f"^{values.EXTERNAL_ID}$"})
_TEXT = core.str_schema(max_length=values.MAX_TEXT, pattern=r"^[^\x00]*$")
_INTEGER = core.int_schema(ge=0, le=values.MAX_INTEGER)
_NUMBER = core.float_schema(strict=True, allow_inf_nan=False)
_NON_FINITE = core.literal_schema(["NaN", "Infinity", "-Infinity"])
_WHOLE = _INTEGER | {"strict": True}, core.chain_schema([_NUMBER, _INTEGER])  # for JSON Schema, 7.0 is an integer
_RANGE = WithJsonSchema({"type": "integer", "minimum": 0, "maximum": values.MAX_INTEGER})
_VALUES = 'send a number, or one of the strings "NaN", "Infinity" and "-Infinity"'

Name = Annotated[str, AfterValidator(values.check_name), WithJsonSchema(_PRINTABLE | {"maxLength": values.MAX_NAME})]
_known_key = lru_cache(10_000)(values.check_key)  # a training sends the same few, with every step
Key = Annotated[str, AfterValidator(_known_key), WithJsonSchema(_PRINTABLE | {"maxLength": values.MAX_KEY})]
ExternalId = Annotated[str, AfterValidator(values.check_external_id), _EXTERNAL_ID]
Description = Annotated[str, _one_of(f"send up to {values.MAX_TEXT} characters of Unicode, and no NUL", _TEXT)]
Settings = Annotated[dict[str, Any], AfterValidator(values.check_settings), Field(description="up to 64 KiB, no NUL")]
Step = Annotated[int, _one_of(f"send a whole number from 0 to {values.MAX_INTEGER}", *_WHOLE), _RANGE]
Time = Step
WHEN = "ms, UTC, when it happened; without it, the server's clock"
Value = Annotated[float | str, _one_of(_VALUES, _NUMBER, _NON_FINITE)]
Number = Annotated[float, WithJsonSchema(TypeAdapter(Value).json_schema())]  # in answers; written as a value is read


class _Request(BaseModel, extra="forbid"):
    """An unknown field is refused."""


class _Answer(BaseModel, from_attributes=True, ser_json_inf_nan="strings"):
    """Made of a row or of a dictionary."""


class ExperimentCreate(_Request):
    """A new experiment."""

    name: Name
    description: Description = ""
    at: Time | None = Field(default=None, description=WHEN)


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
    job: Name | None = Field(default=None, description='the scheduler\'s name for what runs it: "4711", or "4711_3"')
    at: Time | None = Field(default=None, description=WHEN)


class RunPatch(_Request):
    """What may change about a run; what is left out stays."""

    status: Status | None = None
    name: Name | None = None
    tags: Settings | None = None
    at: Time | None = Field(
        default=None, description=f"{WHEN}. Of two changes of status the later one counts, whichever is heard first"
    )


class PointIn(TypedDict):
    """One point. A `value` of null is refused: log "NaN", or nothing."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # where pydantic looks for it

    key: Key
    value: Value
    step: Step
    at: NotRequired[Annotated[Time | None, Field(description=WHEN)]]


class Series(_Request):
    """Points of one key, as columns of equal length; without `at`, the server's clock."""

    steps: list[Step]
    values: list[Value]
    at: list[Time] | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        if len(self.steps) != len(self.values) or (self.at is not None and len(self.at) != len(self.steps)):
            raise ValueError("steps, values and at are columns of one table: give them the same length")
        return self


class Batch(_Request):
    """Points, all of which are stored, or none: one by one, or in columns, which are about half as long."""

    points: list[PointIn] = []
    series: dict[Key, Series] = Field(default={}, json_schema_extra={"additionalProperties": False})

    def rows(self, now: int) -> list[tuple[str, int, float, int]]:
        """Key, step, value and time of each point; `now` (ms) for those without a time."""
        rows = [
            (p["key"], p["step"], float(p["value"]), now if (at := p.get("at")) is None else at) for p in self.points
        ]
        for key, s in self.series.items():
            times = s.at if s.at is not None else [now] * len(s.steps)
            rows += zip([key] * len(times), s.steps, map(float, s.values), times, strict=True)
        return rows


class Rewind(_Request):
    """The training goes on from a checkpoint taken at `step`: what was logged after it, until `at`, goes."""

    step: Step
    at: Time = Field(description="ms, by the clock of the client: the time of its newest point")


class RunQuery(_Request):
    """Which runs, and what of them."""

    status: list[Status] = Field(default=[], description="only runs in one of these")
    job: Name | None = Field(default=None, description="only what this job of a scheduler runs or ran; or its tasks")
    keys: list[Key] = Field(default=[], description="only these curves in `latest`")
    sort: str | None = Field(
        default=None, description="a metric's key: the lowest newest value first; with a '-' before it, the highest"
    )
    cursor: str | None = Field(default=None, description="`next` of the page before")
    limit: Rows = 50


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


class Latest(TypedDict):
    """The newest point of one curve; and of an ended run, how many points it has and its lowest and highest value."""

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="strings")  # type: ignore[misc]  # where pydantic looks for it

    step: int
    value: Number
    at: int
    count: int | None
    min: Number | None
    max: Number | None


class RunOut(_Answer):
    """A run."""

    id: int
    experiment_id: int
    external_id: str
    name: str
    status: Status
    lost: bool = Field(description="it should be running, and has been silent for a minute")
    params: dict[str, Any]
    tags: dict[str, Any]
    job: str | None
    restarts: int
    created_at: int
    started_at: int | None
    heartbeat_at: int | None
    finished_at: int | None
    last_logged_at: int | None


class RunItem(RunOut):
    """A run in a list, with the newest point of each of its curves."""

    latest: SkipValidation[dict[str, Latest]]  # thousands of them, from our own columns


Item = TypeVar("Item")


class Page(_Answer, Generic[Item]):
    """A part of a list; `next` is the cursor of the following part, or null."""

    items: list[Item]
    next: str | None


class ExperimentWithRuns(ExperimentOut):
    """An experiment and the first page of its runs."""

    runs: Page[RunItem]


class Accepted(_Answer):
    """How many points were stored; those behind a rewind are not."""

    accepted: int


class _Curve(_Answer):
    key: str
    version: int = Field(description="rises whenever the curve changes")


class Curve(_Curve):
    """One curve, sorted by step: three columns of equal length."""

    sampled: Literal[False]
    steps: list[int]
    values: list[Number]
    at: list[int]


class SampledCurve(_Curve):
    """One curve in buckets of equal width: first and last step, how many points and how many of them NaN, and the
    lowest and highest of the others (null: all are NaN)."""

    sampled: Literal[True]
    first: list[int]
    last: list[int]
    count: list[int]
    nans: list[int]
    min: list[Number | None]
    max: list[Number | None]


AnyCurve = Annotated[Curve | SampledCurve, Field(discriminator="sampled")]


class Compared(_Answer):
    """One run of a comparison; no curve: it has not logged this key."""

    run: int
    name: str
    experiment: str
    curve: AnyCurve | None


class Comparison(_Answer):
    """One key of several runs, in the order in which they were asked for."""

    key: str
    runs: list[Compared]


class Health(_Answer):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str
    about: str  # what whoever started this server says of it; empty: nothing
