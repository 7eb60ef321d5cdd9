import json
import math
import re

import pytest

from tracker import values
from tracker.values import TRANSITIONS, Status


@pytest.mark.parametrize("text", ["", "nan", "inf", "Infinit", "1.5"])
def test_a_text_that_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        values.decode(text)


@pytest.mark.parametrize("value", [0.0, -1.5, 1e308, 5e-324, math.inf, -math.inf])
def test_a_value_survives_json(value: float) -> None:
    encoded = values.encode(value)
    assert isinstance(encoded, float) == math.isfinite(value)
    assert values.decode(json.loads(json.dumps(encoded, allow_nan=False))) == value


def test_a_value_that_is_no_number_travels_as_text() -> None:
    assert [values.encode(value) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "Infinity", "-Infinity"]
    assert math.isnan(values.decode("NaN"))


def test_nan_survives_json() -> None:
    assert math.isnan(values.decode(json.loads(json.dumps(values.encode(math.nan), allow_nan=False))))


def test_rank_orders_by_time_then_value_with_nan_lowest() -> None:
    points = [(math.nan, 1), (-math.inf, 1), (0.0, 1), (math.inf, 1), (math.nan, 2), (-5.0, 2)]
    backwards = points[::-1]
    assert sorted(backwards, key=lambda p: values.rank(*p)) == points


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        (" a", "space"),
        ("a ", "space"),
        ("a\n", "space"),
        ("a\tb", "printable"),
        ("a\x00b", "printable"),
        ("a\ud800", "printable"),
        ("a" * 201, "at most 200"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        values.check_name(name)


@pytest.mark.parametrize("name", ["a", "train/loss", "größe", "损失", "a b", "a" * 200])
def test_an_ordinary_name_is_kept(name: str) -> None:
    assert values.check_name(name) == name


def test_a_key_may_be_longer_than_a_name() -> None:
    assert values.check_key("k" * 250)
    with pytest.raises(ValueError, match="metric key has at most 250 characters, this one has 251"):
        values.check_key("k" * 251)


@pytest.mark.parametrize("external_id", ["", ".hidden", "a/b", "../up", "a b", "é", "x" * 129])
def test_an_external_id_that_is_no_file_name_is_refused(external_id: str) -> None:
    with pytest.raises(ValueError, match="external id"):
        values.check_external_id(external_id)


@pytest.mark.parametrize("external_id", ["0", "1234.5", "a-b_c.d", "x" * 128])
def test_an_ordinary_external_id_is_kept(external_id: str) -> None:
    assert values.check_external_id(external_id) == external_id


def test_the_docstring_draws_the_transitions() -> None:
    drawn = {
        Status(start): {Status(end) for end in ends.split()}
        for start, ends in re.findall(r"^    (\w+) +-> ([\w ]+)$", values.__doc__ or "", flags=re.MULTILINE)
    }
    assert drawn == TRANSITIONS
    assert set(drawn) == set(Status)


def test_every_end_can_be_resumed() -> None:
    assert all(Status.RUNNING in TRANSITIONS[status] for status in values.ENDED)
