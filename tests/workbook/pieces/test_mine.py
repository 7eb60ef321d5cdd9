"""A tracker with a candidate's pieces in it: what goes in, what does not, and what is kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbook.check import State
from workbook.pieces import mine as module
from workbook.pieces.mine import LIST, NoTracker, environment, graduate, mine
from workbook.pieces.mutants import FAILED, PASSED, REFERENCE, Result
from workbook.source import ROOT, Exercise, source_with
from workbook.tries import FILLED, keep

BUCKETS, LATEST = "d1.b3.e5", "d1.b3.e6"
POINTS, CURVES = "my_tracker/tracker/server/store/points.py", "my_tracker/tracker/server/store/curves.py"


def exercise(name: str) -> Exercise:
    source = source_with(name)
    assert source
    return source.exercises[name]


def right(name: str) -> str:
    return next(variant.source for variant in exercise(name).variants if not variant.says)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without notebooks: what was solved in them is told by the tries."""
    shutil.copytree(ROOT / "tracker", tmp_path / "tracker", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "sources", lambda: [source_with(BUCKETS)])  # as if there were no other block
    return tmp_path


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which pieces were tried with the tracker's tests; here they all pass, and `mutants` has tests of its own."""
    found: list[str] = []

    def passes(piece: str, tests: str, mutants: dict[str, str], root: Path) -> dict[str, Result]:
        found.append(piece)
        return {name: Result(PASSED) for name in (REFERENCE, *mutants)}

    monkeypatch.setattr(module, "judge", passes)
    return found


def solve(root: Path, name: str, *cells: str) -> None:
    keep(name, State.SOLVED, [(cell, cell == cells[-1]) for cell in cells], root)


class TestNone:
    def test_there_is_none_at_first(self, root: Path) -> None:
        with pytest.raises(NoTracker, match="there is no my_tracker yet: `workbook graduate` makes it"):
            mine(root)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 2, "pieces": {}}'])
    def test_one_whose_list_is_broken_is_none(self, root: Path, tested: list[str], text: str) -> None:
        graduate(root, str)
        (root / LIST).write_text(text)
        with pytest.raises(NoTracker, match="workbook graduate"):
            mine(root)

    def test_a_folder_that_cannot_be_written_is_named(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, tested: list[str]
    ) -> None:
        graduate(root, str)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(shutil, "copytree", full)
        with pytest.raises(NoTracker, match="my_tracker cannot be written: No space left on device"):
            graduate(root, str)
        assert str(mine(root)) == "0 of 2 pieces are yours"


class TestPieces:
    def test_without_an_answer_it_is_the_reference(self, root: Path, tested: list[str]) -> None:
        assert [str(piece) for piece in graduate(root, str)] == [
            "○ d1.b3.e5 tracker.server.store.curves:BUCKETS  the reference's: not solved yet",
            "○ d1.b3.e6 tracker.server.store.points:KEEP_LATEST  the reference's: not solved yet",
        ]
        assert same(root / "tracker", root / "my_tracker/tracker")
        assert str(mine(root)) == "0 of 2 pieces are yours"
        assert tested == []

    def test_an_answer_takes_the_place_of_its_piece(self, root: Path, tested: list[str]) -> None:
        solve(root, LATEST, right(LATEST))
        graduate(root, str)
        assert right(LATEST) in (root / POINTS).read_text()
        assert str(mine(root)) == "1 of 2 pieces is yours"
        solve(root, BUCKETS, right(BUCKETS))
        graduate(root, str)
        assert right(LATEST) in (root / POINTS).read_text()
        assert right(BUCKETS) in (root / CURVES).read_text()
        assert str(mine(root)) == "2 of 2 pieces are yours"

    def test_the_newest_that_was_solved_counts(self, root: Path, tested: list[str]) -> None:
        solve(root, LATEST, 'KEEP_LATEST = "first"')
        solve(root, LATEST, 'KEEP_LATEST = "second"')
        keep(LATEST, State.WRONG, [('KEEP_LATEST = "third"', True)], root)
        pieces = graduate(root, str)
        assert '\nKEEP_LATEST = "second"\n' in (root / POINTS).read_text()
        assert str(pieces[1]).endswith("yours, as you solved it before: in your notebook it is not attempted now")

    def test_a_solution_that_was_filled_in_is_nobodys_answer(self, root: Path, tested: list[str]) -> None:
        keep(LATEST, FILLED, [(exercise(LATEST).solution, True)], root)
        solve(root, LATEST, exercise(LATEST).solution)
        graduate(root, str)
        assert str(mine(root)) == "0 of 2 pieces are yours"

    def test_what_an_answer_uses_comes_along(self, root: Path, tested: list[str]) -> None:
        solve(root, LATEST, 'NEWER = "x > y"', "unused = 1", 'KEEP_LATEST = f"... WHERE {NEWER}"')
        graduate(root, str)
        text = (root / POINTS).read_text()
        assert 'NEWER = "x > y"\n\nKEEP_LATEST' in text
        assert "unused" not in text

    def test_two_answers_may_not_bring_different_things_of_one_name(
        self, root: Path, tested: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exercise(BUCKETS), "piece", "tracker.server.store.points:TOUCH")
        solve(root, BUCKETS, "A = 1", "TOUCH = A")
        solve(root, LATEST, "A = 2", "KEEP_LATEST = A")
        first, second = graduate(root, str)
        assert first.answer
        assert second.note == "another answer of yours has a A, too, and they differ: rename one of them"

    def test_what_the_trackers_own_tests_refuse_stays_the_references(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = {REFERENCE: Result(PASSED), LATEST: Result(FAILED, "FAILED tests/x.py::test_y - assert 1 == 2")}
        monkeypatch.setattr(module, "judge", lambda *_: said)
        solve(root, LATEST, right(LATEST))
        assert graduate(root, str)[1].note == (
            "its check passes, but not the tracker's own tests: FAILED tests/x.py::test_y - assert 1 == 2"
        )
        assert same(root / "tracker", root / "my_tracker/tracker")

    def test_tests_that_the_reference_fails_tell_nothing(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "judge", lambda *_: {REFERENCE: Result(FAILED), LATEST: Result(FAILED)})
        solve(root, LATEST, right(LATEST))
        assert graduate(root, str)[1].answer

    def test_it_is_said_what_takes_its_time(self, root: Path, tested: list[str]) -> None:
        said: list[str] = []
        solve(root, LATEST, right(LATEST))
        graduate(root, said.append)
        assert said[0] == f"Judging your answers to {BUCKETS}, {LATEST} ..."
        assert "Trying your KEEP_LATEST with the tracker's own tests ..." in said

    def test_what_was_tested_is_tested_again_only_with_another_reference(self, root: Path, tested: list[str]) -> None:
        solve(root, LATEST, right(LATEST))
        graduate(root, str)
        graduate(root, str)
        assert len(tested) == 1
        assert not mine(root).stale
        (root / "tracker/values.py").write_text((root / "tracker/values.py").read_text() + "\n# newer\n")
        assert mine(root).stale
        graduate(root, str)
        assert len(tested) == 2
        assert (root / "my_tracker/tracker/values.py").read_text().endswith("# newer\n")


def test_one_that_was_edited_is_kept(root: Path, tested: list[str]) -> None:
    said: list[str] = []
    graduate(root, str)
    graduate(root, said.append)
    assert not any("edited" in line for line in said)
    (root / POINTS).write_text("# mine\n")
    graduate(root, said.append)
    kept = next((root / ".workbook").glob("my_tracker-*"))
    assert (kept / "tracker/server/store/points.py").read_text() == "# mine\n"
    assert f"You had edited my_tracker: that one is .workbook/{kept.name} now" in said
    assert same(root / "tracker", root / "my_tracker/tracker")


def test_a_file_that_was_added_is_kept(root: Path, tested: list[str]) -> None:
    graduate(root, str)
    (root / "my_tracker/notes.md").write_text("what I learnt")
    graduate(root, str)
    assert [file.read_text() for file in (root / ".workbook").glob("my_tracker-*/notes.md")] == ["what I learnt"]


def test_tests_that_cannot_be_run_leave_the_reference(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> dict[str, Result]:
        raise RuntimeError("the mutants were not tried: No module named 'hypothesis'")

    monkeypatch.setattr(module, "judge", broken)
    solve(root, LATEST, right(LATEST))
    assert graduate(root, str)[1].note == "the mutants were not tried: No module named 'hypothesis'"


def test_a_process_with_its_environment_imports_it_wherever_it_starts(root: Path, tested: list[str]) -> None:
    graduate(root, str)
    command = [sys.executable, "-c", "import tracker; print(tracker.__file__)"]
    for folder in (ROOT, root):
        said = subprocess.check_output(command, cwd=folder, env=os.environ | environment(root), text=True)
        assert said.strip() == str(root / "my_tracker/tracker/__init__.py")


def same(one: Path, other: Path) -> bool:
    """All files of two folders, byte for byte."""
    return contents(one) == contents(other)


def contents(folder: Path) -> dict[Path, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return {file.relative_to(folder): file.read_bytes() for file in files}
