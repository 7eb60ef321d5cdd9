"""What is made of the bank of questions: the checkpoint at the end of a block's notebooks, and the sheet of a day.

A **checkpoint** asks the block's questions one after the other. In the exercise notebook a cell below each asks it when
it is run (`spoken`); until then, and where nothing can be run, it shows the answer in folds. The solution notebook has
the folds as text, and one more for an interviewer: what to ask next and what to expect.
A **sheet** is the day on one printed page: of each question its line and its cards, block by block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..source import Cell, Source, SourceError
from .markup import html_text
from .questions import Question, questions_of

LINES = 60  # of a sheet: one printed page


def checkpoint(source: Source, *, interviewer: bool = False) -> list[Cell]:
    """The cells of a source's questions; none if it has none. Raises SourceError."""
    bank = questions_of(source)
    if not bank:
        return []
    if interviewer:
        how = "Take a clock, say what you would ask back, then answer in one to two minutes. Only then open the folds"
    else:
        how = (
            "Run the cell below a question, bet how sure you are, answer aloud in one to two minutes. Only then compare"
        )
    begin = (
        f"## Say it aloud\n\nWhat interviewers ask about this block. {how}, and count the points that you made. "
        f"The [sheet of the day](../../{_sheet_of(source)}) has each answer in a line."
    )
    cells = [Cell("text", begin, bank[0].id.rpartition(".")[0])]
    for question in bank:
        asked = f"### {question.id}\n\n{question.prompt}"
        if interviewer:
            folds = [*_folds(question), ("For the interviewer", _for_interviewers(question))]
            cells.append(Cell("text", "\n".join([f"{asked}\n", *(_fold(*fold) for fold in folds)]), question.id))
        else:
            # The import is part of each: whoever comes for the questions alone runs one cell.
            code = f'from workbook import ask\n\nask("{question.id}")'
            cells.append(Cell("text", asked, question.id))
            cells.append(Cell("ask", code, question.id, shows=unasked(question)))
    return cells


def unasked(question: Question) -> dict[str, str]:
    """What a question's cell shows where nobody can be asked, by MIME type: the answer in folds."""
    folds = (
        f"<details><summary>{summary}</summary>\n{html_text(text)}\n</details>" for summary, text in _folds(question)
    )
    return {"text/plain": f"{question.id}, to be said aloud", "text/html": "\n".join(folds)}


def sheets(books: Iterable[Source]) -> dict[Path, str]:
    """The text of each day's sheet, by its path in the repository. Raises SourceError."""
    found: dict[Path, list[str]] = {}
    for source in books:
        bank = questions_of(source)
        if bank:
            path = _sheet_of(source)
            day = path.name[len("day") :].partition("-")[0]
            page = found.setdefault(path, [f"# Day {day} on one page", "", "*Built from the questions of its blocks.*"])
            page += ["", f"## {source.title.removesuffix(': exercises')}"]
            page += lines(bank)
    for path, page in found.items():
        if len(page) > LINES:
            raise SourceError(
                f"{path} has {len(page)} lines, a page {LINES}: leave out some cards of its questions.yaml"
            )
    return {path: "\n".join(page) + "\n" for path, page in found.items()}


def lines(bank: Sequence[Question]) -> list[str]:
    """Those of a block: of each question its own, then the cards."""
    return [f"- {question.sheet}" for question in bank] + [card.line for question in bank for card in question.cards]


def _sheet_of(source: Source) -> Path:
    return Path("cheatsheets") / f"{source.path.parent.parent.name}.md"


def _folds(question: Question) -> list[tuple[str, str]]:
    return [
        ("What to ask first", _list(question.ask_first)),
        ("The points of a good answer", _list(question.must_mention)),
        ("One way to say it", f"{question.model_answer}\n\n**The trade-off.** {question.trade_off}"),
    ]


def _for_interviewers(question: Question) -> str:
    asked = "\n".join(f"- *{one.ask}* {one.good}" for one in question.follow_ups)
    levels = "\n".join(f"- {level}: {what}" for level, what in question.levels.items())
    return f"Ask next:\n\n{asked}\n\nBe wary of:\n\n{_list(question.red_flags)}\n\nExpect:\n\n{levels}"


def _list(points: Iterable[str]) -> str:
    return "\n".join(f"- {point}" for point in points)


def _fold(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n</details>"
