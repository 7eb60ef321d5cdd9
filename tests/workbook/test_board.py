import html
import re
from dataclasses import replace

import pytest

from workbook import status
from workbook.board import Board, Row, board, next_step, rows
from workbook.check import COLOUR, State
from workbook.progress import Standing
from workbook.source import sources

OPEN = Standing(State.NOT_ATTEMPTED, 0, 0)


@pytest.fixture
def untouched() -> list[Row]:
    """Of the warm-up and one block, as if there were no other."""
    return [replace(row, standing=OPEN) for row in rows(sources()) if row.exercise.id[:5] in ("d0.b0", "d1.b3")]


def after(found: list[Row], **states: State) -> list[Row]:
    """With these verdicts: e3=State.WRONG."""
    named = {f"d1.b3.{name}": Standing(state, 2, 7) for name, state in states.items()}
    named |= {"d0.b0.e1": Standing(State.SOLVED, 1, 0)}
    return [replace(row, standing=named.get(row.exercise.id, OPEN)) for row in found]


def test_it_shows_every_exercise_below_its_day(untouched: list[Row]) -> None:
    lines = [line for line, _ in board(after(untouched, e1=State.SOLVED, e2=State.WRONG))]
    assert lines == [
        "Warm-up",
        "  ✓ d0.b0.e1 Which run is best?         2 min        solved        1 try",
        "Day 1 · Python, backend, data",
        "  ✓ d1.b3.e1 What must never be stored? 12 min       solved        2 tries, 7 min",
        "  ✗ d1.b3.e2 Four pages, four indexes   12 min       wrong         2 tries, 7 min",
        "  ○ d1.b3.e3 Where does each run stand? 12 min       not attempted",
        "  ○ d1.b3.e4 Who leads?                 12 min extra not attempted",
        "  ○ d1.b3.e5 The spike that nobody saw  12 min extra not attempted",
        "  ○ d1.b3.e6 The copy that went back    10 min extra not attempted",
        "2 of 4 core exercises done, 24 minutes of them left",
        "Next: d1.b3.e2 is wrong. `workbook check d1.b3.e2` says why, `workbook hint d1.b3.e2` helps",
    ]


def test_its_lines_know_their_state(untouched: list[Row]) -> None:
    states = [state for _, state in board(untouched)]
    assert states.count(State.NOT_ATTEMPTED) == len(untouched)
    assert states.count(None) == 4


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ({}, "Next: d1.b3.e1 · What must never be stored?, 12 minutes"),
        ({"e1": State.SOLVED, "e4": State.WRONG}, "Next: d1.b3.e2 · "),
        (
            {"e1": State.SOLVED, "e2": State.SELF_SCORED, "e3": State.SOLVED, "e5": State.WRONG},
            "Next: d1.b3.e5 is wrong.",
        ),
        ({f"e{n}": State.SOLVED for n in range(1, 7)}, "All is done"),
    ],
)
def test_the_next_step_is_a_wrong_one_of_the_core_then_its_next(
    untouched: list[Row], states: dict[str, State], says: str
) -> None:
    assert next_step(after(untouched, **states)).startswith(says)


class TestInANotebook:
    def test_it_says_the_same_as_in_a_terminal(self, untouched: list[Row]) -> None:
        found = after(untouched, e1=State.SOLVED, e2=State.WRONG)
        shown = Board(tuple(found))._repr_mimebundle_()
        assert shown["text/plain"] == "\n".join(line for line, _ in board(found))
        words = html.unescape(re.sub(r"<[^>]+>", " ", shown["text/html"])).split()
        assert words == shown["text/plain"].replace("`", "").split()

    def test_a_row_has_the_colour_of_its_state(self, untouched: list[Row]) -> None:
        (row,) = [row for row in after(untouched, e2=State.WRONG) if row.exercise.id == "d1.b3.e2"]
        assert f'<b style="color: {COLOUR[State.WRONG]}">✗</b></td>' in row.html()

    def test_no_title_becomes_a_tag(self, untouched: list[Row]) -> None:
        evil = "<img src=x onerror=alert(1)> & `<b>`"
        found = [replace(row, exercise=replace(row.exercise, title=evil)) for row in untouched]
        shown = Board(tuple(found))._repr_mimebundle_()["text/html"]
        assert "<img" not in shown
        assert set(re.findall(r"<(\w+)", shown)) == {"table", "tr", "th", "td", "b", "div", "code"}
        assert "Next: d0.b0.e1 · &lt;img src=x" in shown

    def test_it_is_the_board_of_this_checkout(self) -> None:
        assert repr(status()) == "\n".join(line for line, _ in board(rows(sources())))


def test_what_was_filled_in_is_done_and_is_said_to_be(untouched: list[Row]) -> None:
    filled = Standing(State.NOT_ATTEMPTED, 0, 0, filled=True)
    found = [replace(row, standing=filled if row.exercise.id < "d1.b3.e2" else OPEN) for row in untouched]
    lines = [line for line, _ in board(found)]
    assert "  ○ d1.b3.e1 What must never be stored? 12 min       filled in" in lines
    assert lines[-2] == "2 of 4 core exercises done, 24 minutes of them left"
    assert lines[-1].startswith("Next: d1.b3.e2 · ")
