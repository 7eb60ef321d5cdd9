"""How the commands answer."""

import sys

import pytest

from workbook.check import State
from workbook.commands.terminal import Mistake, coloured, known


def test_an_exercise_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(Mistake, match=r"there is no exercise 'd9\.b9\.e9'; the exercises are d0\.b0\.e1, d1\.b3\.e1"):
        known("d9.b9.e9")


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert coloured("wrong", State.WRONG) == "wrong"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert coloured("wrong", State.WRONG) == "\x1b[31mwrong\x1b[0m"
