"""How the commands answer."""

import sys

import pytest

from workbook.check import State
from workbook.commands.terminal import Mistake, coloured, known, number


def test_an_exercise_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(Mistake, match=r"there is no exercise 'd1\.b3\.e9'; there are d1\.b3\.e1, d1\.b3\.e2, "):
        known("d1.b3.e9")


@pytest.mark.parametrize("text", ["0.4", "10.1", "-3", "x", "", "nan", "inf", "1 2"])
def test_a_number_out_of_bounds_is_told_its_bounds(text: str) -> None:
    with pytest.raises(Mistake, match=r"--hours is a number from 0\.5 to 10, not "):
        number(text, "--hours", 0.5, 10)


@pytest.mark.parametrize(("text", "found"), [("0.5", 0.5), ("10", 10), (" 2 ", 2)])
def test_a_number_is_read(text: str, found: float) -> None:
    assert number(text, "--hours", 0.5, 10) == found


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert coloured("wrong", State.WRONG) == "wrong"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert coloured("wrong", State.WRONG) == "\x1b[31mwrong\x1b[0m"
