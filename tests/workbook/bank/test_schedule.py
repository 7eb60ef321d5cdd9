"""What fits the hours that somebody has."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbook.bank.schedule import Part, Schedule, lines, open_parts, schedule, spelled, unwritten
from workbook.plan import PLAN
from workbook.source import lessons, sources

BOOKS = tuple(s for s in sources() if s.exercises.keys() & {"d0.b0.e1", "d1.b3.e1"})  # as if there were no other
LESSONS = tuple(lesson for lesson in lessons() if lesson.title.startswith("1.3"))


def block(name: str) -> list[Part]:
    """40 minutes of core and 10 of extra."""
    day = f"{name} title"
    return [
        Part(name, day, name, f"read {name}", 20, core=True),
        Part(name, day, f"{name}.e1", f"{name}.e1", 15, core=True),
        Part(name, day, f"{name}.q1", f"{name}.q1", 5, core=True),
        Part(name, day, f"{name}.e2", f"{name}.e2", 10, core=False),
    ]


TWO_DAYS = [*block("d1.b1"), *block("d1.b2"), *block("d2.b1")]


def names(found: Sequence[Part]) -> list[str]:
    return [part.name for part in found]


class TestFits:
    def test_there_is_nothing_to_plan_of_nothing(self) -> None:
        assert schedule([], 60, {}) == Schedule([], [])

    def test_all_of_it_in_the_order_of_the_days(self) -> None:
        assert schedule(TWO_DAYS, 150, {"d1.b1": 1.0}) == Schedule(TWO_DAYS, [])

    def test_the_core_of_all_days_before_any_extra(self) -> None:
        found = schedule(TWO_DAYS, 130, {})
        assert names(found.left_out) == ["d1.b2.e2", "d2.b1.e2"]

    def test_no_extra_takes_the_place_of_core(self) -> None:
        found = schedule(TWO_DAYS, 90, {})  # 10 minutes are over, and the next lesson takes 20
        assert sum(part.minutes for part in found.fits) == 80
        assert names(found.fits) == names([*block("d1.b1")[:3], *block("d1.b2")[:3]])

    def test_within_a_day_what_is_known_least(self) -> None:
        found = schedule(TWO_DAYS, 40, {"d1.b1": 0.5, "d1.b2": 0.25, "d2.b1": 0})
        assert names(found.fits) == ["d1.b2", "d1.b2.e1", "d1.b2.q1"]

    def test_no_exercise_without_the_lesson_before_it(self) -> None:
        found = schedule(TWO_DAYS, 19, {})
        assert found.fits == []

    def test_what_is_shorter_than_an_exercise(self) -> None:
        assert names(schedule(block("d1.b1"), 27, {}).fits) == ["d1.b1", "d1.b1.q1"]

    @given(st.integers(0, 200), st.dictionaries(st.sampled_from(["d1.b1", "d1.b2", "d2.b1"]), st.floats(0, 1)))
    def test_it_never_takes_longer_and_forgets_nothing(self, minutes: int, shares: dict[str, float]) -> None:
        found = schedule(TWO_DAYS, minutes, shares)
        assert sum(part.minutes for part in found.fits) <= minutes
        assert sorted(names(found.fits) + names(found.left_out)) == sorted(names(TWO_DAYS))
        for some in (found.fits, found.left_out):
            assert all(TWO_DAYS.index(one) < TWO_DAYS.index(next) for one, next in pairwise(some))


class TestOpen:
    def test_no_block_is_planned_that_is_not_written(self) -> None:
        planned = {part.block for part in open_parts(BOOKS, LESSONS, ())}
        assert planned == {"d0.b0", "d1.b3"}
        assert list(open_parts([], LESSONS, ())) == []
        assert len(unwritten(BOOKS)) == len(PLAN) - len(planned)
        assert unwritten(BOOKS)[:3] == ["1.1 python warmup", "1.2 backend api", "1.4 db integration"]

    def test_a_block_is_its_lesson_then_core_then_extra(self) -> None:
        parts = [part for part in open_parts(BOOKS, LESSONS, ()) if part.block == "d1.b3"]
        assert names(parts) == [
            "d1.b3",
            *(f"d1.b3.{name}" for name in ("e1", "e2", "e3", "q1", "q2", "e4", "e5", "e6")),
        ]
        assert [part.minutes for part in parts] == [20, 12, 12, 12, 6, 6, 12, 12, 10]
        assert [part.core for part in parts] == [True] * 6 + [False] * 3
        assert parts[0].text == "read notebooks/day1-python-backend-db/03-database-schema.ipynb"

    def test_what_is_done_costs_nothing(self) -> None:
        done = {"d0.b0.e1", "d1.b3.e2", "d1.b3.q1"}
        parts = list(open_parts(BOOKS, LESSONS, done))
        assert names(parts) == ["d1.b3", "d1.b3.e1", "d1.b3.e3", "d1.b3.q2", "d1.b3.e4", "d1.b3.e5", "d1.b3.e6"]

    def test_a_lesson_is_read_once_its_core_is_solved(self) -> None:
        done = {"d0.b0.e1", "d1.b3.e1", "d1.b3.e2", "d1.b3.e3"}
        assert names(list(open_parts(BOOKS, LESSONS, done)))[0] == "d1.b3.q1"

    def test_a_lesson_that_does_not_say_its_minutes_takes_some(self) -> None:
        mute = [replace(lesson, cells=lesson.cells[2:]) for lesson in LESSONS]
        assert next(part.minutes for part in open_parts(BOOKS, mute, {"d0.b0.e1"})) == 20


class TestLines:
    def test_each_block_stands_below_its_day(self) -> None:
        parts = block("d1.b1")
        assert list(lines(Schedule(parts, []), 60, ["1.2 backend api"])) == [
            "Day 1 · Python, backend, data",
            "  d1.b1 title",
            "     20 min  read d1.b1",
            "     15 min  d1.b1.e1",
            "      5 min  d1.b1.q1",
            "     10 min  d1.b1.e2 (extra)",
            "50 min of your 1 h are planned.",
            "Not written yet, so in no plan: 1.2 backend api.",
            "For the other 10 min: workbook drill, and workbook say.",
        ]

    def test_what_does_not_fit_is_said(self) -> None:
        said = list(lines(schedule(TWO_DAYS, 40, {}), 40, []))
        assert said[-3:] == [
            "40 min of your 40 min are planned.",
            "Core that does not fit: d1.b2 title (40 min), d2.b1 title (40 min).",
            "Extra that does not fit: d1.b1 title (10 min), d1.b2 title (10 min), d2.b1 title (10 min).",
        ]

    def test_whoever_has_solved_all_is_told_so(self) -> None:
        assert "All that is written is solved." in list(lines(Schedule([], []), 60, []))
        assert "All that is written is solved." not in list(lines(Schedule([], TWO_DAYS), 10, []))


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (89.6, "1 h 30 min"), (480, "8 h")]
)
def test_minutes_are_read_as_hours(minutes: float, text: str) -> None:
    assert spelled(minutes) == text
