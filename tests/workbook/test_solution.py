from pathlib import Path

import nbformat
import pytest

from workbook import solution as module
from workbook.build import exercise_notebook
from workbook.judge import NotJudged
from workbook.solution import difference, solution
from workbook.source import Source, sources
from workbook.tries import Try

WARM_UP: Source = sources()[0]
ID = "d0.b0.e1"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The candidate's notebook, untouched, and no try."""
    file = tmp_path / "start.ipynb"
    nbformat.write(exercise_notebook(WARM_UP), file)
    monkeypatch.setattr(module, "find", lambda source: file)
    monkeypatch.setattr(module, "tries", lambda exercise: [])
    return file


def write(file: Path, answer: str) -> None:
    notebook = nbformat.read(file, 4)
    for cell in notebook.cells:
        if cell.metadata.get("workbook", {}).get("role") == "answer":
            cell.source = answer
    nbformat.write(notebook, file)


def test_whoever_has_not_tried_is_shown_nothing() -> None:
    assert solution(WARM_UP, ID) is None


def test_anyway_it_is_shown_with_its_reasons() -> None:
    text = solution(WARM_UP, ID, anyway=True)
    assert text is not None
    assert text.startswith("d0.b0.e1 · Which run is best?\n\ndef best_run(losses):\n    healthy = ")
    for part in ("Why. ", "Otherwise. ", "What the tracker does. ", "What a good answer has:\n"):
        assert part in text
    assert "<" + "details>" not in text


def test_after_a_try_it_is_shown_beside_ones_own(file: Path) -> None:
    write(file, "def best_run(losses):\n    return min(losses, key=losses.get)")
    text = solution(WARM_UP, ID)
    assert text is not None
    assert " def best_run(losses):\n-    return min(losses, key=losses.get)\n+    healthy = {" in text
    assert "+    return min(healthy, key=healthy.get, default=None)" in text


def test_the_last_try_counts_where_the_notebook_is_gone_or_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "tries", lambda exercise: [Try(0, "wrong", [("mine = 1", True)])])
    assert "-mine = 1" in (solution(WARM_UP, ID) or "")

    def gone(source: Source) -> Path:
        raise NotJudged("it is gone")

    monkeypatch.setattr(module, "find", gone)
    assert "-mine = 1" in (solution(WARM_UP, ID) or "")


def test_an_answer_that_is_the_solution_has_no_difference() -> None:
    assert difference("a\nb", "a\nb") == "(the same)"
    assert difference("a\nb", "a\nc") == " a\n-b\n+c"
