"""What one answer of a notebook can do to the judge: it gets one line, and its neighbours their verdicts."""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbook.build import exercise_notebook
from workbook.check import State, Verdict
from workbook.judge import Answer, Judge, answers, load
from workbook.kinds import KINDS
from workbook.source import source_with

BEFORE, VICTIM, AFTER = "d1.b3.e2", "d1.b3.e3", "d1.b3.e4"
source = source_with(VICTIM)
assert source
SOURCE, EXERCISES = source, source.exercises
SOLUTION = EXERCISES[VICTIM].solution
CHECKS = sum(c.source.count("    assert ") for c in SOURCE.cells if (c.exercise, c.role) == (VICTIM, "check"))
Notebook = dict[str, Any]
Edit = Callable[[Notebook], None]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(SOURCE) as judge:
        yield judge


def verdicts(judge: Judge, edit: Edit, folder: Path) -> list[Verdict]:
    """Those on the victim and on its neighbours: the one before it is untouched, the one after it solved."""
    file = folder / "a.ipynb"
    file.write_text(nbformat.writes(exercise_notebook(SOURCE)))
    notebook = load(file)
    cell(notebook, AFTER)["source"] = EXERCISES[AFTER].solution
    edit(notebook)
    file.write_text(json.dumps(notebook))
    given = answers(load(file))
    return [judge.judge(EXERCISES[e], given.get(e, Answer())) for e in (BEFORE, VICTIM, AFTER)]


def cell(notebook: Notebook, exercise: str = VICTIM) -> dict[str, Any]:
    """Its answer cell."""
    mark = {"role": "answer", "exercise": exercise}
    (found,) = [c for c in notebook["cells"] if c["metadata"].get("workbook") == mark]
    assert isinstance(found, dict)
    return found


def behind(notebook: Notebook, text: str) -> None:
    """Puts a copy of the answer cell behind it, with this text: JupyterLab copies its metadata as well."""
    first = cell(notebook)
    notebook["cells"].insert(notebook["cells"].index(first) + 1, copy.deepcopy(first) | {"source": text})


def answer(text: str) -> Edit:
    return lambda notebook: cell(notebook).update(source=text)


def deleted(notebook: Notebook) -> None:
    notebook["cells"].remove(cell(notebook))


def turned_into_text(notebook: Notebook) -> None:
    cell(notebook).update(cell_type="markdown", source=SOLUTION)


def turned_raw(notebook: Notebook) -> None:
    cell(notebook).update(cell_type="raw", source=SOLUTION)


def copied_and_answered_in_the_copy(notebook: Notebook) -> None:
    behind(notebook, SOLUTION)


def split_in_two(notebook: Notebook) -> None:
    behind(notebook, 'LATEST_SQL = "SELECT" + rest')
    _, text = SOLUTION.split("SELECT", 1)
    next(c for c in notebook["cells"] if c["source"] == EXERCISES[VICTIM].stub)["source"] = f'rest = """{text}'


def a_helper_in_a_scratch_cell(notebook: Notebook) -> None:
    answer("LATEST_SQL = helper()")(notebook)
    scratch = next(c for c in notebook["cells"] if c["metadata"].get("workbook", {}).get("role") == "scratch")
    scratch["metadata"]["workbook"]["exercise"] = VICTIM
    scratch["source"] = f"def helper():\n    return {SOLUTION.partition('=')[2].strip()}"
    notebook["cells"].remove(scratch)
    notebook["cells"].insert(notebook["cells"].index(cell(notebook)), scratch)


def run_and_saved_by_jupyterlab(notebook: Notebook) -> None:
    """It writes counts, outputs and times, and a text as its lines."""
    answer(SOLUTION)(notebook)
    box = {"data": {"text/plain": f"✗ {VICTIM} wrong"}, "metadata": {}, "output_type": "display_data"}
    for number, ran in enumerate((c for c in notebook["cells"] if c["cell_type"] == "code"), 1):
        ran.update(execution_count=number, outputs=[box], source=ran["source"].splitlines(keepends=True))
        ran["metadata"]["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}


ENDED = "it ended Python itself (os._exit, a crash, or out of memory)"
ALL = f"{CHECKS} checks passed"
LEFT = "your code ended the program (sys.exit or exit)"
CASES = [
    (answer("import os; os._exit(0)"), State.WRONG, ENDED),
    (answer("import os; os.kill(os.getpid(), 9)"), State.WRONG, ENDED),
    (answer("import sys; sys.exit()"), State.WRONG, LEFT),
    (answer("quit()"), State.WRONG, LEFT),
    (answer("LATEST_SQL = input()"), State.WRONG, "your code raised StdinNotImplementedError: "),
    (answer("LATEST_SQL = ("), State.WRONG, "your code raised SyntaxError: "),
    (answer("LATEST_SQL = None"), State.WRONG, "the answer is no text: None"),
    (deleted, State.NOT_ATTEMPTED, "its answer cell is gone"),
    (turned_into_text, State.NOT_ATTEMPTED, "its answer cell is gone"),
    (turned_raw, State.NOT_ATTEMPTED, "its answer cell is gone"),
    (copied_and_answered_in_the_copy, State.SOLVED, ALL),
    (split_in_two, State.SOLVED, ALL),
    (a_helper_in_a_scratch_cell, State.SOLVED, ALL),
    (run_and_saved_by_jupyterlab, State.SOLVED, ALL),
]
NAMES = ["os._exit", "kill", "sys.exit", "quit", "input", "syntax", *(edit.__name__ for edit, *_ in CASES[6:])]


def at_peace(before: Verdict, after: Verdict) -> bool:
    return (before, after.state) == (Verdict(BEFORE, State.NOT_ATTEMPTED), State.SOLVED)


@pytest.mark.parametrize(("edit", "state", "line"), CASES, ids=NAMES)
def test_it_gets_one_line_and_its_neighbours_their_verdicts(
    judge: Judge, tmp_path: Path, edit: Edit, state: State, line: str
) -> None:
    before, found, after = verdicts(judge, edit, tmp_path)
    assert found.state is state
    assert found.message.startswith(line)
    assert at_peace(before, after)


ENDLESS = [
    ("while True: pass", "it took longer than 3 seconds: an endless loop?"),
    (f"LATEST_SQL = {KINDS['SQL'].endless!r}", "SQLite was still at it after "),
]


@pytest.mark.parametrize(("text", "line"), ENDLESS, ids=["Python", "SQL"])
def test_an_endless_one_is_ended(tmp_path: Path, text: str, line: str) -> None:
    with Judge(SOURCE, seconds=3) as judge:
        before, found, after = verdicts(judge, answer(text), tmp_path)
        assert found.state is State.WRONG
        assert found.message.startswith(line)
        assert at_peace(before, after)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take the limit, and do not keep to it")
def test_one_that_takes_all_memory_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbook.kernel.MEMORY", 2**30)
    with Judge(SOURCE) as judge:
        for text in ("x = bytearray(2 * 2**30)", "x = []\nwhile len(x) < 2048: x.append(bytearray(2**20))"):
            before, found, after = verdicts(judge, answer(text), tmp_path)
            assert found.state is State.WRONG
            line = "your code raised MemoryError: it wanted more than 1 GB\nin line "
            assert found.message.startswith(line)
            assert at_peace(before, after)
