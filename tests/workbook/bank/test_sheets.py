import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from workbook import build
from workbook.bank import sheets
from workbook.bank.questions import Card, Question, questions_of
from workbook.source import ROOT, Source, SourceError, sources

START = sources()[0]
BLOCK = next(source for source in sources() if "d1.b3.e1" in source.exercises)
SHEET = Path("cheatsheets/day1-python-backend-db.md")


@pytest.fixture
def bank() -> tuple[Question, ...]:
    return questions_of(BLOCK)


class TestCheckpoint:
    def test_there_is_none_without_questions(self) -> None:
        assert sheets.checkpoint(START) == []

    def test_each_question_is_asked_and_the_cell_below_it_has_the_answer_folded(
        self, bank: tuple[Question, ...]
    ) -> None:
        begin, *cells = sheets.checkpoint(BLOCK)
        assert begin.source.startswith("## Say it aloud\n")
        assert [(c.role, c.exercise) for c in cells] == [(role, q.id) for q in bank for role in ("text", "ask")]
        for text, asks, question in zip(cells[::2], cells[1::2], bank, strict=True):
            assert text.source == f"### {question.id}\n\n{question.prompt}"
            assert asks.source == f'from workbook import ask\n\nask("{question.id}")'
            shown, *folds = (asks.shows or {})["text/html"].split("<details>")
            assert shown == ""
            self.has_the_answer(question, [unescape(fold) for fold in folds])

    def test_in_the_solution_the_folds_are_text(self, bank: tuple[Question, ...]) -> None:
        _, *cells = sheets.checkpoint(BLOCK, interviewer=True)
        assert [(cell.role, cell.exercise) for cell in cells] == [("text", question.id) for question in bank]
        for cell, question in zip(cells, bank, strict=True):
            shown, *folds = cell.source.split("<details>")
            assert shown == f"### {question.id}\n\n{question.prompt}\n\n"
            self.has_the_answer(question, folds[:3])

    def has_the_answer(self, question: Question, folds: list[str]) -> None:
        first, points, answer = folds
        assert all(point in first for point in question.ask_first)
        assert all(point in points for point in question.must_mention)
        said = " ".join(re.sub(r"<[^>]+>", " ", answer).split())
        assert " ".join(question.model_answer.split()) in said
        assert question.trade_off in said

    def test_only_the_solution_tells_the_interviewer_what_to_expect(self, bank: tuple[Question, ...]) -> None:
        exercise = "".join(f"{cell.source}{cell.shows}" for cell in sheets.checkpoint(BLOCK))
        solution = "".join(cell.source for cell in sheets.checkpoint(BLOCK, interviewer=True))
        for question in bank:
            asked = [text for one in question.follow_ups for text in (one.ask, one.good)]
            for text in [*asked, *question.red_flags, *question.levels.values()]:
                assert text in solution
                assert text not in exercise

    def test_it_ends_both_notebooks_with_ids_of_its_own(self, bank: tuple[Question, ...]) -> None:
        ids = ["d1-b3-text-1", "d1-b3-q1-text-1", "d1-b3-q2-text-1"]
        assert [cell.id for cell in build.solution_notebook(BLOCK).cells[-3:]] == ids
        ids = [*ids[:2], "d1-b3-q1-ask-1", ids[2], "d1-b3-q2-ask-1"]
        cells = build.exercise_notebook(BLOCK).cells[-5:]
        assert [cell.id for cell in cells] == ids
        assert [list(output.data) for output in cells[2].outputs] == [["text/plain", "text/html"]]


class TestSheet:
    def test_it_has_the_line_and_the_cards_of_each_question(self, bank: tuple[Question, ...]) -> None:
        text = sheets.sheets(sources())[SHEET]
        assert "\n## 1.3 · Database schema\n" in text
        for question in bank:
            assert f"\n- {question.sheet}\n" in text
            assert all(f"\n- {card.front} **{card.back}**\n" in text for card in question.cards)

    def test_each_is_one_printed_page(self) -> None:
        for text in sheets.sheets(sources()).values():
            lines = text.splitlines()
            assert len(lines) <= 60
            assert max(map(len, lines)) <= 100

    def test_what_does_not_fit_the_page_is_refused(
        self, bank: tuple[Question, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        many = replace(bank[0], cards=(Card("front", "back"),) * 54)

        def asked(source: Source) -> tuple[Question, ...]:
            return (many,) if source is BLOCK else ()

        monkeypatch.setattr(sheets, "questions_of", asked)
        assert len(sheets.sheets(sources())[SHEET].splitlines()) == 60
        many = replace(many, cards=(*many.cards, Card("one", "more")))
        with pytest.raises(SourceError, match=f"{SHEET} has 61 lines, a page 60: leave out some cards"):
            sheets.sheets(sources())

    def test_there_is_none_without_questions(self) -> None:
        found = {path.relative_to(ROOT) for path in (ROOT / "cheatsheets").rglob("*.md")}
        assert found == set(sheets.sheets(sources()))

    def test_it_is_built_once_and_a_change_is_drift(self, tmp_path: Path) -> None:
        file = tmp_path / SHEET
        text = sheets.sheets(sources())[SHEET]
        assert build.build_sheet(file, text, check=True).outcome == "stale"
        assert build.build_sheet(file, text).outcome == "written"
        assert build.build_sheet(file, text).outcome == "unchanged"
        assert build.build_sheet(file, text, check=True).outcome == "unchanged"
        file.write_text(text + "mine")
        assert build.build_sheet(file, text, check=True).outcome == "stale"

    def test_it_is_compared_with_the_notebooks(self) -> None:
        assert build.Built(ROOT / SHEET, "unchanged") in list(build.build(check=True))
