from typing import Any

import pytest
from pydantic import ValidationError

from tracker.server import wire
from tracker.server.problem import in_sentences


def said(model: type[wire._Request], body: Any) -> dict[str, str]:
    """What a request is told about this body."""
    with pytest.raises(ValidationError) as error:
        model.model_validate(body)
    errors = [{**e, "loc": ("body", *e["loc"])} for e in error.value.errors()]
    return {e["at"]: e["says"] for e in in_sentences(errors)}


POINT = {"key": "loss", "value": 0.5, "step": 1}


@pytest.mark.parametrize(
    ("change", "at", "says"),
    [
        ({"value": None}, "points[1].value", 'send a number, or one of the strings "NaN", "Infinity" and "-Infinity"'),
        ({"value": "nan"}, "points[1].value", 'send a number, or one of the strings "NaN", "Infinity" and "-Infinity"'),
        ({"value": True}, "points[1].value", 'send a number, or one of the strings "NaN", "Infinity" and "-Infinity"'),
        ({"value": float("nan")}, "points[1].value", 'JSON has no such number; send "NaN"'),
        ({"value": float("inf")}, "points[1].value", 'JSON has no such number; send "NaN"'),
        ({"step": -1}, "points[1].step", "greater than or equal to 0"),
        ({"step": 2**53}, "points[1].step", "less than or equal to 9007199254740991"),
        ({"step": 1.0}, "points[1].step", "valid integer"),
        ({"step": None}, "points[1].step", "valid integer"),
        ({"at": -1}, "points[1].at", "greater than or equal to 0"),
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


def test_of_a_thousand_bad_points_ten_are_named() -> None:
    assert len(said(wire.Batch, {"points": [{}] * 1000})) == 10


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"x": float("inf")}, "write an infinity as text"),
        ({"x": "\x00"}, "no NUL"),
        ({"x": "\ud800"}, "surrogate"),
        ({"x": "y" * 65_536}, "at most 65536 bytes"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(settings: dict[str, Any], says: str) -> None:
    assert says in said(wire.RunCreate, {"params": settings})["params"]


def test_settings_nested_without_end_are_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert said(wire.RunCreate, {"tags": {"x": nested}}) == {"tags": "settings are nested too deeply"}


@pytest.mark.parametrize(("text", "says"), [("a\x00", "no NUL"), ("\udc00", "unicode"), ("a" * 10_001, "10000")])
def test_a_description_that_cannot_be_kept_is_refused(text: str, says: str) -> None:
    assert says in said(wire.ExperimentCreate, {"name": "a", "description": text})["description"]


def test_a_run_begins_queued_or_running() -> None:
    assert wire.RunCreate.model_validate({"status": "queued"}).status == "queued"
    assert "queued" in said(wire.RunCreate, {"status": "finished"})["status"]


@pytest.mark.parametrize("value", [0, 0.5, -1e300, "NaN", "Infinity", "-Infinity"])
def test_every_value_is_accepted(value: Any) -> None:
    assert wire.PointIn.model_validate(POINT | {"value": value}).value == value
