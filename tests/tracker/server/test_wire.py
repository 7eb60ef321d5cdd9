import math
import unicodedata
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter, ValidationError

from tracker import values
from tracker.server import wire
from tracker.server.problem import in_sentences


def said(model: type[wire._Request], body: Any) -> dict[str, str]:
    """What a request is told about this body."""
    with pytest.raises(ValidationError) as error:
        model.model_validate(body)
    errors = [{**e, "loc": ("body", *e["loc"])} for e in error.value.errors()]
    return {e["at"]: e["says"] for e in in_sentences(errors)}


VALUE = 'send a number, or one of the strings "NaN", "Infinity" and "-Infinity"'
WHOLE = "send a whole number from 0 to 9007199254740991"
POINT = {"key": "loss", "value": 0.5, "step": 1}


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        *(({"value": value}, "points[1].value", VALUE) for value in (None, "nan", True, math.nan, math.inf, 10**400)),
        *(({"step": step}, "points[1].step", WHOLE) for step in (-1, -1.0, 2**53, 2.0**53, 3.5, True, "5", None)),
        *(({"step": step}, "points[1].step", WHOLE) for step in (math.nan, math.inf, 10**400)),
        ({"at": -1}, "points[1].at", WHOLE),
        ({"key": ""}, "points[1].key", "a metric key is not empty"),
        ({"key": "k" * 251}, "points[1].key", "at most 250 characters"),
        ({"kye": "a"}, "points[1].kye", "there is no such field"),
    ],
)
def test_a_bad_point_is_named_and_told_why(change: dict[str, Any], at: str, says: str) -> None:
    told = said(wire.Batch, {"points": [POINT, POINT | change]})
    assert list(told) == [at]
    assert says in told[at]


def test_a_missing_field_is_named() -> None:
    assert said(wire.Batch, {"points": [{"key": "a", "value": 1}]}) == {"points[0].step": "Field required"}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (wire.ExperimentCreate, {"name": "a"}),
        (wire.RunCreate, {}),
        (wire.RunPatch, {}),
        (wire.Batch, {}),
        (wire.Rewind, {"step": 1, "at": 1}),
        (wire.RunQuery, {}),
    ],
)
def test_each_unknown_field_is_named(model: type[wire._Request], body: dict[str, Any]) -> None:
    assert said(model, body | {"nmae": 1, "stpe": 2}) == dict.fromkeys(("nmae", "stpe"), "there is no such field")


def test_each_unknown_field_of_a_point_and_of_a_column_is_named() -> None:
    body = {"points": [POINT | {"nmae": 1}], "series": {"loss": {"steps": [], "values": [], "stpe": 2}}}
    assert said(wire.Batch, body) == dict.fromkeys(("points[0].nmae", "series.loss.stpe"), "there is no such field")


def test_of_a_thousand_bad_points_ten_are_named() -> None:
    assert len(said(wire.Batch, {"points": [{}] * 1000})) == 10


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"x": float("inf")}, "write an infinity as text"),
        ({"x": "\x00"}, "no NUL"),
        ({"x": ["\\\x00"]}, "no NUL"),
        ({"x": "\ud800"}, "surrogate"),
        ({"x": "y" * 65_536}, "at most 65536 bytes"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(settings: dict[str, Any], says: str) -> None:
    assert says in said(wire.RunCreate, {"params": settings})["params"]


def test_the_name_of_a_nul_is_none() -> None:
    """As in a pattern that is kept among the params."""
    assert wire.RunCreate.model_validate({"params": {"x": r"\u0000"}}).params == {"x": r"\u0000"}


def test_settings_nested_without_end_are_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert said(wire.RunCreate, {"tags": {"x": nested}}) == {"tags": "settings are nested too deeply"}


@pytest.mark.parametrize("text", ["a\x00", "\udc00", "a" * 10_001, 5])
def test_a_description_that_cannot_be_kept_is_refused(text: Any) -> None:
    told = said(wire.ExperimentCreate, {"name": "a", "description": text})
    assert told == {"description": "send up to 10000 characters of Unicode, and no NUL"}


def test_a_run_begins_queued_or_running() -> None:
    assert wire.RunCreate.model_validate({"status": "queued"}).status == "queued"
    assert "queued" in said(wire.RunCreate, {"status": "finished"})["status"]


@pytest.mark.parametrize("value", [0, 0.5, -1e300, "NaN", "Infinity", "-Infinity"])
def test_every_value_is_accepted(value: Any) -> None:
    (point,) = wire.Batch.model_validate({"points": [POINT | {"value": value}]}).points
    assert point["value"] == value


@pytest.mark.parametrize("step", [0.0, -0.0, 3487.0, 2.0**53 - 1])
def test_a_whole_number_may_be_written_as_a_float(step: float) -> None:
    """In JSON Schema and in JavaScript the two are one; some languages write every number with a point."""
    (point,) = wire.Batch.model_validate({"points": [POINT | {"step": step, "at": step}]}).points
    assert (point["step"], point["at"]) == (int(step), int(step))
    assert type(point["step"]) is int


@pytest.mark.parametrize(("name", "check"), [(wire.Name, values.check_name), (wire.Key, values.check_key)])
def test_the_document_says_which_names_are_accepted(name: Any, check: Callable[[str], str]) -> None:
    """Of every character that this Python knows, and of where spaces stand."""
    known = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Cs")]
    schema = jsonschema_rs.validator_for(TypeAdapter(name).json_schema())
    for text in ("", " a", "a ", "a  b", "a \x00", "a\n", "a" * 200, "a" * 201, "a" * 250, "a" * 251, *known):
        try:
            accepted = check(text) == text
        except ValueError:
            accepted = False
        assert schema.is_valid(text) == accepted, ascii(text)
