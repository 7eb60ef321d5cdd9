import base64

import pytest

from tracker.server.problem import BadCursor
from tracker.server.store import pages


@pytest.mark.parametrize("place", [(1,), (0, "NaN", 77), (2, 0.5, 2**63 - 1)])
def test_a_cursor_brings_back_what_it_was_made_of(place: tuple[float | str, ...]) -> None:
    assert pages.from_cursor(pages.to_cursor("order", *place), "order") == list(place)


FORGED = [b"[]", b'["order"]', b'["order", 0]', b'["order", true]', b'["order", "1"]', b'["other", 1]', b'{"id": 1}']
FORGED += [b"\xff", b"7", b'["order", 9223372036854775808]']


@pytest.mark.parametrize(
    "forged", ["", "x", "????", "é", *(base64.urlsafe_b64encode(text).decode() for text in FORGED)]
)
def test_a_forged_cursor_is_refused(forged: str) -> None:
    with pytest.raises(BadCursor):
        pages.from_cursor(forged, "order")


def test_one_row_too_many_is_another_page() -> None:
    assert not pages.is_more([1, 2], 2)
    assert pages.is_more([1, 2, 3], 2)
