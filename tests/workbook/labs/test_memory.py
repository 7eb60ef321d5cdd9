"""What the operating system counts for work of a known size."""

import pytest

from workbook.labs.memory import growth


def test_it_is_what_the_work_held_and_nothing_of_it_stays() -> None:
    kept: list[bytes] = []
    for _ in range(2):
        assert 90 < growth(lambda: kept.append(b"x" * 100_000_000)) < 120
    assert kept == []


def test_what_is_freed_on_the_way_is_counted_once() -> None:
    def one_by_one() -> None:
        for _ in range(10):
            bytes(b"x" * 20_000_000)

    assert 15 < growth(one_by_one) < 50


def test_work_that_fails_is_said_to() -> None:
    with pytest.raises(RuntimeError, match="the work failed in its own process"):
        growth(lambda: 1 / 0)
