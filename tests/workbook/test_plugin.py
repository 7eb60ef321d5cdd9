"""`pytest --nbval`, as a candidate types it, in a process of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from workbook import plugin
from workbook.build import exercise_notebook
from workbook.check import State
from workbook.judge import is_exercise_notebook
from workbook.source import ROOT, lessons, source_with, sources

RIGHT = """
def best_run(losses):
    healthy = {name: loss for name, loss in losses.items() if loss == loss}
    return min(healthy, key=healthy.get, default=None)
"""


def nbval(*arguments: object) -> tuple[int, str]:
    """The exit code, and what was printed without colours and without the time it took."""
    quick = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # which takes a second to load
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", *quick, *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def exercise(tmp_path: Path, exercise: str, answer: str | None = None) -> Path:
    """The exercise's notebook, with this answer in its cell."""
    source = source_with(exercise)
    assert source
    notebook = exercise_notebook(source)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.metadata.workbook == {"role": "answer", "exercise": exercise}:
            cell.source = answer or cell.source
    file = tmp_path / f"{exercise}.ipynb"
    nbformat.write(notebook, file)
    return file


def plain(tmp_path: Path, *cells: nbformat.NotebookNode) -> Path:
    """A lesson with these cells."""
    file = tmp_path / "lesson.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), file)
    return file


def cell(source: str, *outputs: nbformat.NotebookNode, count: int | None = 1) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=count)


def printed(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


class TestExercises:
    def test_each_state_is_counted_by_its_name(self, tmp_path: Path) -> None:
        source = source_with("d1.b3.e3")
        assert source
        wrong = {v.name: v for v in source.exercises["d1.b3.e3"].variants}["skips-nan"]
        solved = tmp_path / "solved"
        untouched = tmp_path / "untouched"
        solved.mkdir()
        untouched.mkdir()
        code, said = nbval(
            exercise(tmp_path, "d1.b3.e3", wrong.source),
            exercise(solved, "d0.b0.e1", RIGHT),
            exercise(untouched, "d0.b0.e1"),
        )
        assert code == 1
        assert re.search(r"=+ 1 failed, 1 passed, 6 not attempted in ", said), said
        assert "✗ d1.b3.e3 wrong\nits loss is NaN; an older number hides a dead run\nchecked: " in said
        assert "Traceback" not in said

    def test_all_solved_is_a_success(self, tmp_path: Path) -> None:
        code, said = nbval(exercise(tmp_path, "d0.b0.e1", RIGHT), "-v")
        assert code == 0
        assert "::d0.b0.e1 PASSED" in said

    def test_not_attempted_is_no_success(self, tmp_path: Path) -> None:
        code, said = nbval(exercise(tmp_path, "d0.b0.e1"), "-v")
        assert code == 1
        assert "::d0.b0.e1 NOT ATTEMPTED" in said

    def test_one_exercise_can_be_named(self, tmp_path: Path) -> None:
        file = exercise(tmp_path, "d0.b0.e1", RIGHT)
        assert nbval(f"{file}::d0.b0.e1")[0] == 0

    def test_a_notebook_of_nobody_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        file = exercise(tmp_path, "d0.b0.e1")
        notebook = json.loads(file.read_text())
        notebook["metadata"]["workbook"]["source"] = "gone.md"
        file.write_text(json.dumps(notebook))
        code, said = nbval(file)
        assert code == 2
        assert "was not built from a source of this workbook" in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("state", "when", "told"),
    [
        (State.NOT_ATTEMPTED, "call", ("not attempted", "o", "NOT ATTEMPTED")),
        (State.SELF_SCORED, "call", ("self-scored", "s", "SELF-SCORED")),
        (State.SELF_SCORED, "teardown", None),
        (State.SOLVED, "call", None),
        (State.WRONG, "call", None),
    ],
)
def test_what_is_neither_right_nor_wrong_has_a_name_of_its_own(state: State, when: str, told: object) -> None:
    report: Any = SimpleNamespace(user_properties=[("state", state.value)], when=when)
    assert plugin.pytest_report_teststatus(report) == told


class TestLessons:
    def test_another_output_than_the_stored_one_fails(self, tmp_path: Path) -> None:
        code, said = nbval(plain(tmp_path, cell("print(1)", printed("2\n"))))
        assert code == 1
        assert "1 failed" in said

    def test_the_stored_output_passes(self, tmp_path: Path) -> None:
        assert nbval(plain(tmp_path, cell("print(1)", printed("1\n"))))[0] == 0

    def test_a_live_cell_may_show_another_output_but_not_fail(self, tmp_path: Path) -> None:
        live = cell("print(1)", printed("2\n"))
        live.metadata.tags = ["live", "nbval-ignore-output"]
        assert nbval(plain(tmp_path, live))[0] == 0
        live.source = "assert False"
        assert nbval(plain(tmp_path, live))[0] == 1

    def test_a_cell_that_was_never_run_fails(self, tmp_path: Path) -> None:
        code, said = nbval(plain(tmp_path, cell("x = 1", count=None)))
        assert code == 1
        assert "this cell has no stored run" in said

    def test_a_semicolon_silences_as_in_jupyterlab(self, tmp_path: Path) -> None:
        assert nbval(plain(tmp_path, cell("'quiet';")))[0] == 0

    def test_a_dead_kernel_is_noticed(self, tmp_path: Path) -> None:
        code, said = nbval(plain(tmp_path, cell("import os; os._exit(1)")), "--nbval-cell-timeout=100")
        assert code == 1
        assert "the notebook's kernel died" in said


def test_without_nbval_no_notebook_is_collected(tmp_path: Path) -> None:
    code, said = nbval("-o", "addopts=", exercise(tmp_path, "d0.b0.e1"))
    assert code != 0
    assert "no tests ran" in said


BUILT = [lesson.notebook for lesson in lessons()] + [source.notebooks[1] for source in sources()]


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.stem)
def test_a_lesson_and_a_solution_are_compared_cell_by_cell(path: Path) -> None:
    assert not is_exercise_notebook(ROOT / path)
