"""What a candidate can do to a notebook, and what is said of it. Each begins with the notebook as it was built."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbook.build import exercise_notebook
from workbook.check import State
from workbook.judge import Answer, Judge, NotJudged, answers, find, is_exercise_notebook, judge_notebook, load
from workbook.source import Source, source_with

ID = "d0.b0.e1"
RIGHT = """
def best_run(losses):
    healthy = {name: loss for name, loss in losses.items() if loss == loss}
    return min(healthy, key=healthy.get, default=None)
"""
NAIVE = "def best_run(losses):\n    return min(losses, key=losses.get)"
SOLVED = (State.SOLVED, "4 checks passed")
Notebook = dict[str, Any]


@pytest.fixture(scope="module")
def source() -> Source:
    found = source_with(ID)
    assert found
    return found


@pytest.fixture(scope="module")
def judge(source: Source) -> Iterator[Judge]:
    with Judge(source) as judge:
        yield judge


@pytest.fixture
def notebook(source: Source) -> Notebook:
    loaded: Notebook = json.loads(nbformat.writes(exercise_notebook(source)))
    for cell in loaded["cells"]:
        cell["source"] = "".join(cell["source"])
    return loaded


def cell(notebook: Notebook, role: str) -> dict[str, Any]:
    (found,) = [c for c in notebook["cells"] if c["metadata"].get("workbook", {}) == {"role": role, "exercise": ID}]
    assert isinstance(found, dict)
    return found


def own(text: str) -> dict[str, Any]:
    """A cell that the candidate added."""
    return {"cell_type": "code", "metadata": {}, "source": text, "outputs": [], "execution_count": None}


def place(notebook: Notebook, role: str) -> int:
    return int(notebook["cells"].index(cell(notebook, role)))


def answer(text: str) -> Callable[[Notebook], None]:
    return lambda notebook: cell(notebook, "answer").update(source=text)


def faked_output(notebook: Notebook) -> None:
    answer(NAIVE)(notebook)
    box = {"data": {"text/plain": f"✓ {ID} solved"}, "metadata": {}, "output_type": "display_data"}
    cell(notebook, "check")["outputs"] = [box]


def edited_check(notebook: Notebook) -> None:
    answer(NAIVE)(notebook)
    cell(notebook, "check")["source"] = f'with check("{ID}"):\n    assert True'


def deleted_check(notebook: Notebook) -> None:
    answer(NAIVE)(notebook)
    notebook["cells"].remove(cell(notebook, "check"))


def deleted_setup(notebook: Notebook) -> None:
    answer(RIGHT.replace("loss == loss", "not math.isnan(loss)"))(notebook)
    notebook["cells"].remove(cell(notebook, "setup"))


def garbage_outputs(notebook: Notebook) -> None:
    answer(RIGHT)(notebook)
    cell(notebook, "check")["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "garbage"}]


def helper_before(notebook: Notebook) -> None:
    answer(RIGHT.replace("loss == loss", "fine(loss)"))(notebook)
    notebook["cells"].insert(place(notebook, "answer"), own("def fine(x): return x == x"))


def helper_after(notebook: Notebook) -> None:
    answer(RIGHT.replace("loss == loss", "fine(loss)"))(notebook)
    notebook["cells"].insert(place(notebook, "check"), own("def fine(x): return x == x"))


def split_in_two(notebook: Notebook) -> None:
    """JupyterLab gives both halves the metadata of the whole."""
    first, second = copy.deepcopy(cell(notebook, "answer")), cell(notebook, "answer")
    first["source"], second["source"] = "def fine(x): return x == x", RIGHT.replace("loss == loss", "fine(loss)")
    notebook["cells"].insert(notebook["cells"].index(second), first)


def scratch_that_fails(notebook: Notebook) -> None:
    answer(RIGHT)(notebook)
    notebook["cells"].insert(place(notebook, "check"), own("1 / 0"))


def untouched_with_scratch(notebook: Notebook) -> None:
    notebook["cells"].insert(place(notebook, "answer"), own("losses = {}"))


def deleted_answer(notebook: Notebook) -> None:
    notebook["cells"].remove(cell(notebook, "answer"))


CASES = [
    (lambda notebook: None, State.NOT_ATTEMPTED, ""),
    (untouched_with_scratch, State.NOT_ATTEMPTED, ""),
    (deleted_answer, State.NOT_ATTEMPTED, "its answer cell is gone"),
    (answer("   \n"), State.NOT_ATTEMPTED, "its answer cell is gone"),
    (answer("raise NotImplementedError"), State.NOT_ATTEMPTED, ""),
    (answer(RIGHT), *SOLVED),
    (garbage_outputs, *SOLVED),
    (deleted_setup, *SOLVED),
    (helper_before, *SOLVED),
    (helper_after, *SOLVED),
    (split_in_two, *SOLVED),
    (scratch_that_fails, *SOLVED),
    (answer(NAIVE), State.WRONG, "no number is smaller than NaN"),
    (faked_output, State.WRONG, "no number is smaller than NaN"),
    (edited_check, State.WRONG, "no number is smaller than NaN"),
    (deleted_check, State.WRONG, "no number is smaller than NaN"),
    (
        answer("def best_run(losses)\n    return 1"),
        State.WRONG,
        "your code raised SyntaxError: expected ':', in line 1 of its cell",
    ),
    (answer("def best_run(x):\n    return y"), State.WRONG, "your code raised NameError: name 'y' is not defined"),
    (answer("best = 1"), State.WRONG, "your code raised NameError: name 'best_run' is not defined"),
    (
        answer("1 / 0"),
        State.WRONG,
        "your code raised ZeroDivisionError: division by zero\nin line 1 of its cell:  1 / 0",
    ),
    (answer("import sys; sys.exit()"), State.WRONG, "your code ended the program"),
    (answer("def best_run(losses):\n    raise SystemExit"), State.WRONG, "your code ended the program"),
    (answer("import os; os._exit(0)"), State.WRONG, "it ended Python itself"),
    (answer("def best_run(losses):\n    import os; os._exit(0)"), State.WRONG, "it ended Python itself"),
    (answer("name = input()"), State.WRONG, "your code raised StdinNotImplementedError"),
    (answer("def best_run(losses):\n    return input()"), State.WRONG, "your code raised StdinNotImplementedError"),
]


def name(case: Any) -> str | None:
    return getattr(case, "__name__", None) if callable(case) else None


@pytest.mark.parametrize(("edit", "state", "message"), CASES, ids=name)
def test_every_notebook_gets_its_verdict(
    judge: Judge, source: Source, notebook: Notebook, edit: Callable[[Notebook], None], state: State, message: str
) -> None:
    edit(notebook)
    verdict = judge.judge(source.exercises[ID], answers(notebook).get(ID, Answer()))
    assert verdict.exercise == ID
    assert verdict.state is state
    assert verdict.message.startswith(message)


@pytest.mark.parametrize("text", ["while True: pass", "def best_run(losses):\n    while True: pass"])
def test_an_endless_answer_is_ended(source: Source, notebook: Notebook, text: str) -> None:
    answer(text)(notebook)
    with Judge(source, seconds=0.5) as judge:
        verdict = judge.judge(source.exercises[ID], answers(notebook)[ID])
        assert (verdict.state, verdict.message) == (State.WRONG, "it took longer than 0.5 seconds: an endless loop?")
        answer(RIGHT)(notebook)
        assert judge.judge(source.exercises[ID], answers(notebook)[ID]).state is State.SOLVED


def test_a_spoken_question_belongs_to_no_answer() -> None:
    """Not even where the check before it was deleted."""
    source = source_with("d1.b3.e5")
    assert source
    notebook = exercise_notebook(source)
    marks = [cell["metadata"].get("workbook", {}) for cell in notebook["cells"]]
    assert [mark["role"] for mark in marks if mark][-3:] == ["check", "ask", "ask"]
    notebook["cells"] = [c for c, mark in zip(notebook["cells"], marks, strict=True) if mark.get("role") != "check"]
    sources = [text for answer in answers(notebook).values() for text, _ in answer.cells]
    assert len(sources) >= 5
    assert not [text for text in sources if "ask(" in text]


def test_a_scratch_cell_is_run_once_somebody_wrote_in_it() -> None:
    """As it was built it only draws, which costs more than many an answer."""
    block = source_with("d1.b3.e5")
    assert block
    exercise = block.exercises["d1.b3.e5"]
    (drawing,) = [c.source for c in block.cells if (c.exercise, c.role) == (exercise.id, "scratch")]
    with Judge(block) as judge:
        for cell, runs in ((drawing, False), (drawing + "\n", True)):
            assert judge.judge(exercise, Answer([(exercise.solution, True), (cell, False)])).state is State.SOLVED
            assert (judge._kernel.run("columns", 5).error is None) is runs


def test_a_renamed_and_moved_notebook_is_judged(tmp_path: Path, notebook: Notebook) -> None:
    answer(RIGHT)(notebook)
    file = tmp_path / "my own copy.ipynb"
    file.write_text(json.dumps(notebook))
    assert is_exercise_notebook(file)
    assert [(v.exercise, v.state) for v in judge_notebook(file)] == [(ID, State.SOLVED)]


def test_a_moved_notebook_is_found(tmp_path: Path, source: Source, notebook: Notebook) -> None:
    with pytest.raises(NotJudged, match="notebooks/start.ipynb is missing"):
        find(source, tmp_path)
    moved = tmp_path / "exercises" / "mine" / "x.ipynb"
    moved.parent.mkdir(parents=True)
    moved.write_text(json.dumps(notebook))
    (moved.parent / "other.ipynb").write_text("{}")
    assert find(source, tmp_path) == moved
    built = tmp_path / "notebooks" / "start.ipynb"
    built.parent.mkdir()
    built.write_text(json.dumps(notebook))
    assert find(source, tmp_path) == built


def test_beside_its_copies_the_notebook_that_was_built_counts(
    tmp_path: Path, source: Source, notebook: Notebook
) -> None:
    built = tmp_path / source.notebooks[0]
    built.parent.mkdir()
    answer(RIGHT)(notebook)
    for copied in (tmp_path / "a.ipynb", built.with_name("a.ipynb"), built.with_name("start-Copy1.ipynb"), built):
        copied.write_text(json.dumps(notebook))
    assert find(source, tmp_path) == built


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"cells": [1], "metadata": {}}', "\xff"])
def test_a_file_that_is_no_notebook_is_told_apart(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.ipynb"
    file.write_bytes(content.encode("latin-1"))
    assert not is_exercise_notebook(file)
    with pytest.raises(NotJudged, match="no notebook any more; `git checkout"):
        load(file)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotJudged, match="No such file"):
        load(tmp_path / "a.ipynb")


def test_a_notebook_of_nobody_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.ipynb"
    file.write_text('{"cells": [], "metadata": {"workbook": {"source": "elsewhere.md"}}}')
    with pytest.raises(NotJudged, match="was not built from a source of this workbook"):
        list(judge_notebook(file))
