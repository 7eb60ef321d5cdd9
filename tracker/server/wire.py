"""What travels: the requests we accept and the answers we give.

Requests are strict: an unknown field is more often a typing error than a wish. Answers are wide: a client must expect
new fields. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity"; times are milliseconds, UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from tracker import values
from tracker.values import Status


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text holds no NUL")
    return text


Name = Annotated[str, AfterValidator(values.check_name)]
Key = Annotated[str, AfterValidator(values.check_key)]
ExternalId = Annotated[str, AfterValidator(values.check_external_id)]
Description = Annotated[str, Field(max_length=values.MAX_TEXT), AfterValidator(_storable)]
Settings = Annotated[dict[str, Any], AfterValidator(values.check_settings)]
Step = Annotated[StrictInt, Field(ge=0, le=values.MAX_INTEGER)]
Time = Annotated[StrictInt, Field(ge=0, le=values.MAX_INTEGER)]
WHEN = "ms, UTC, when it happened; without it, the server's clock"
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


class PointIn(_Request):
    """One point. A `value` of null is refused: log "NaN", or nothing."""

    key: Key
    value: Value
    step: Step
    at: Time | None = Field(default=None, description=WHEN)


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
    series: dict[Key, Series] = {}

    def rows(self, now: int) -> list[tuple[str, int, float, int]]:
        """Key, step, value and time of each point; `now` (ms) for those without a time."""
        rows = [(p.key, p.step, float(p.value), now if p.at is None else p.at) for p in self.points]
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
    limit: int = Field(default=50, ge=1, le=200, description="rows of a page")


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
    """The newest point of one curve; and of an ended run, how many points it has and its lowest and highest value."""

    step: int
    value: float
    at: int
    count: int | None
    min: float | None
    max: float | None


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
    """How many points were stored; those behind a rewind are not."""

    accepted: int


class _Curve(_Answer):
    key: str
    version: int = Field(description="rises whenever the curve changes")


class Curve(_Curve):
    """One curve, sorted by step: three columns of equal length."""

    sampled: Literal[False]
    steps: list[int]
    values: list[float]
    at: list[int]


class SampledCurve(_Curve):
    """One curve in buckets of equal width: first and last step, how many points and how many of them NaN, and the
    lowest and highest of the others (null: all are NaN)."""

    sampled: Literal[True]
    first: list[int]
    last: list[int]
    count: list[int]
    nans: list[int]
    min: list[float | None]
    max: list[float | None]


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
