import threading
from pathlib import Path

import pytest

from workbook import tries as tries_module
from workbook.tries import FOLDER, Try, keep, keep_from_notebook, tries

ID = "d0.b0.e1"


def test_of_what_was_never_tried_there_is_nothing(tmp_path: Path) -> None:
    assert tries(ID, tmp_path) == []


def test_they_come_back_in_their_order(tmp_path: Path) -> None:
    assert keep(ID, "wrong", [("a = 1", False), ("def best_run(ü):\n    return 1", True)], tmp_path)
    assert keep(ID, "solved", [("b", True)], tmp_path)
    first, second = tries(ID, tmp_path)
    assert (first.state, first.answer, first.cells[0]) == ("wrong", "def best_run(ü):\n    return 1", ("a = 1", False))
    assert (second.state, second.answer) == ("solved", "b")
    assert second.at >= first.at > 1_700_000_000_000
    assert Try(0, "wrong", [("a", False)]).answer == ""


def test_the_same_again_is_kept_once(tmp_path: Path) -> None:
    for answer in ("a", "a", "b", "a"):
        keep(ID, "wrong", [(answer, True)], tmp_path)
    assert [one.answer for one in tries(ID, tmp_path)] == ["a", "b", "a"]


def test_a_damaged_line_hides_no_other(tmp_path: Path) -> None:
    keep(ID, "wrong", [("a", True)], tmp_path)
    with (tmp_path / FOLDER / f"{ID}.jsonl").open("a") as file:
        file.write('{"at": 1, "state"\n[1]\n\n{"at": 1, "state": "wrong", "cells": [{}]}\n')
    keep(ID, "wrong", [("b", True)], tmp_path)
    assert [one.answer for one in tries(ID, tmp_path)] == ["a", "b"]


def test_where_nothing_can_be_kept_nobody_is_disturbed(tmp_path: Path) -> None:
    (tmp_path / ".workbook").write_text("in the way")
    assert not keep(ID, "wrong", [("a", True)], tmp_path)


def test_two_kernels_at_once_lose_nothing(tmp_path: Path) -> None:
    def work(name: str) -> None:
        for number in range(50):
            keep(ID, "wrong", [(f"{name} {number} " + "x" * 5000, True)], tmp_path)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tries(ID, tmp_path)) == 150


class TestFromANotebook:
    """What the check cell has at hand is what the kernel has executed."""

    @pytest.fixture
    def kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        monkeypatch.setattr(tries_module, "keep", lambda _, state, cells: found.append((state, cells[0][0])))
        monkeypatch.setenv("JPY_SESSION_NAME", "/somewhere/notebooks/start.ipynb")
        return found

    def test_the_cell_that_last_defined_the_answer_is_it(self, kept: list[tuple[str, str]]) -> None:
        executed = ["", "def best_run(x): ...", "def best_run(x): return 1", "y = 2", "with check(...):"]
        keep_from_notebook(ID, "wrong", executed)
        assert kept == [("wrong", "def best_run(x): return 1")]

    @pytest.mark.parametrize("session", [None, "/somewhere/solutions/start-solutions.ipynb"])
    def test_no_notebook_and_no_solution_is_a_try(
        self, kept: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, session: str | None
    ) -> None:
        monkeypatch.delenv("JPY_SESSION_NAME")
        if session:
            monkeypatch.setenv("JPY_SESSION_NAME", session)
        keep_from_notebook(ID, "wrong", ["", "def best_run(x): return 1", "with check(...):"])
        assert kept == []

    def test_what_cannot_be_told_is_left_alone(self, kept: list[tuple[str, str]]) -> None:
        keep_from_notebook(ID, "wrong", ["", "%timeit 1", "best_run", "with check(...):"])
        keep_from_notebook("d9.b9.e9", "wrong", ["def best_run(x): return 1"])
        assert kept == []
