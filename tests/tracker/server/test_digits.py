"""A number in a path or a query is its digits, whatever Python or pydantic would take besides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tracker.server.digits import AnId, Rows, Step
from tracker.values import MAX_INTEGER

LOOKS_LIKE_ONE = st.from_regex(r"\A[\s+_-]?\d{1,3}[\s._]?[\d\s]{0,2}\Z")
read = {kind: TypeAdapter(kind).validate_python for kind in (AnId, Step, Rows)}


@pytest.mark.parametrize("text", ["", "x", "+7", "7.0", "7_0", " 7", "7 ", "7\u00a0", "\u0667", "--7", "0x7"])
def test_what_is_no_number_in_digits_is_refused(text: str) -> None:
    for kind in read.values():
        with pytest.raises(ValidationError, match="send a whole number, in digits"):
            kind(text)


@given(st.one_of(st.text(max_size=5), LOOKS_LIKE_ONE))
def test_whatever_is_taken_was_written_so(text: str) -> None:
    try:
        number = read[Step](text)
    except ValidationError:
        return
    assert text.isascii()
    assert text.removeprefix("-").isdigit()
    assert number == int(text)


@pytest.mark.parametrize(("kind", "least", "most"), [(AnId, 1, MAX_INTEGER), (Step, 0, MAX_INTEGER), (Rows, 1, 200)])
def test_the_bounds_are_taken_and_what_is_beyond_them_is_not(kind: type[int], least: int, most: int) -> None:
    assert [read[kind](str(number)) for number in (least, most)] == [least, most]
    for beyond in (least - 1, most + 1):
        with pytest.raises(ValidationError, match="Input should be"):
            read[kind](str(beyond))
