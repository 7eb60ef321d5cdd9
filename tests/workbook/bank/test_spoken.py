"""The widget, without a browser: what one would set is set here. `tests/browser` clicks it."""

import time
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from traitlets import TraitError

from workbook.bank.questions import Question, questions_of
from workbook.bank.spoken import Spoken
from workbook.build import execute
from workbook.progress import FILE, Asked, read
from workbook.source import sources

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def question() -> Question:
    return next(one for source in sources() for one in questions_of(source) if one.id == "d1.b3.q1")


def answer(asked: Spoken, bet: int, *ticks: int) -> str:
    """As the browser does; what is said of it."""
    asked.set_state({"bet": bet, "stage": "speak"})
    asked.set_state({"stage": "points"})
    for number in range(len(ticks)):
        asked.set_state({"ticks": list(ticks[: number + 1])})
    asked.set_state({"stage": "done"})
    return str(asked.said)


class TestKeeping:
    def test_nothing_is_kept_before_it_is_done(self, question: Question, tmp_path: Path) -> None:
        asked = Spoken(question, tmp_path)
        asked.set_state({"bet": 2, "stage": "speak"})
        asked.set_state({"stage": "points"})
        assert not (tmp_path / FILE).exists()
        assert asked.said == ""

    @pytest.mark.parametrize("state", [{"stage": "won"}, {"bet": 5}, {"bet": -1}, {"ticks": "all"}])
    def test_what_no_button_of_ours_sends_is_refused(
        self, question: Question, tmp_path: Path, state: dict[str, object]
    ) -> None:
        with pytest.raises(TraitError):
            Spoken(question, tmp_path).set_state(state)

    def test_bet_and_ticks_are_kept_once(self, question: Question, tmp_path: Path) -> None:
        before = time.time_ns() // 1_000_000
        asked = Spoken(question, tmp_path)
        assert answer(asked, 3, 0, 3) == "Kept: 2 of 5 points, bet 3. Run the cell again to be asked again."
        asked.set_state({"stage": "done"})
        (kept,) = read(tmp_path).asked[question.id]
        assert kept == Asked(kept.at, bet=3, made=2, of=5)
        assert before <= kept.at <= time.time_ns() // 1_000_000

    def test_each_time_counts(self, question: Question, tmp_path: Path) -> None:
        for bet, ticks in ((1, ()), (4, (0, 1, 2, 3, 4))):
            answer(Spoken(question, tmp_path), bet, *ticks)
        assert [(one.bet, one.made) for one in read(tmp_path).asked[question.id]] == [(1, 0), (4, 5)]

    def test_what_cannot_be_kept_is_said(self, question: Question, tmp_path: Path) -> None:
        (tmp_path / FILE.parent).write_text("in the way")
        said = answer(Spoken(question, tmp_path), 3, 1)
        assert said.startswith(f"1 of 5 points, but not kept. {FILE} cannot be written: ")

    def test_a_broken_file_is_put_beside_and_said_to_be(self, question: Question, tmp_path: Path) -> None:
        (tmp_path / FILE).parent.mkdir()
        (tmp_path / FILE).write_text("{")
        said = answer(Spoken(question, tmp_path), 3)
        assert said.startswith(f"{FILE} could not be read. It is progress-unreadable-")
        assert "Kept: 0 of 5 points" in said


class TestShowing:
    def test_it_has_all_that_is_compared(self, question: Question, tmp_path: Path) -> None:
        shown = Spoken(question, tmp_path).answer
        assert len(shown["points"]) == len(question.must_mention)
        assert len(shown["ask_first"]) == len(question.ask_first)
        assert "<b>The trade-off.</b> Reading gets cheap" in shown["model"]

    def test_a_kernel_shows_the_widget_and_beside_it_the_folds_as_they_were_built(self) -> None:
        cells = [new_code_cell('from workbook import ask\n\nask("d1.b3.q1")') for _ in range(2)]
        notebook = new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        execute(notebook)
        first, second = (dict(cell.outputs[0].data) for cell in notebook.cells)
        assert first.pop(WIDGET)["model_id"] != second.pop(WIDGET)["model_id"]
        assert first == second
        assert first["text/html"].count("<details>") == 3
        assert first["text/plain"] == "d1.b3.q1, to be said aloud"
        assert "widgets" not in notebook.metadata
