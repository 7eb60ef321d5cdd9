import html
import re

import pytest

from workbook.bank.markup import html_line, html_text, spans, terminal_text
from workbook.bank.questions import questions_of
from workbook.source import sources


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", []),
        ("Which key? **(a, b)**", [("plain", "Which key? "), ("bold", "(a, b)")]),
        (
            "*Built* from `x * y * z`.",
            [("italic", "Built"), ("plain", " from "), ("code", "x * y * z"), ("plain", ".")],
        ),
        ("2 * 3 * 4, 2**3, a ` b", [("plain", "2 * 3 * 4, 2**3, a ` b")]),
        ("**The trade-off.** Cheap", [("bold", "The trade-off."), ("plain", " Cheap")]),
    ],
)
def test_a_line_is_parted_at_its_marks(line: str, found: list[tuple[str, str]]) -> None:
    assert spans(line) == found


def test_nothing_in_a_line_becomes_a_tag_but_its_marks() -> None:
    assert html_line('<b>"&"</b> `<i>`') == "&lt;b&gt;&quot;&amp;&quot;&lt;/b&gt; <code>&lt;i&gt;</code>"


def test_a_text_is_paragraphs_and_lists() -> None:
    text = "One\nline.\n\n- a\n- **b**,\n  going on\n\nAnother."
    assert html_text(text) == "<p>One line.</p>\n<ul><li>a</li><li><b>b</b>, going on</li></ul>\n<p>Another.</p>"


def test_of_the_bank_no_word_is_lost() -> None:
    for question in (one for source in sources() for one in questions_of(source)):
        shown = html.unescape(re.sub(r"<[^>]+>", " ", html_text(question.model_answer)))
        assert shown.split() == re.sub(r"[*`]", "", question.model_answer).split()


class TestTerminal:
    def test_its_lines_end_between_words_and_have_no_marks(self) -> None:
        text = "**Why.** Take `min(value)`\nof *all* values: a long-running one."
        assert terminal_text(text, 30) == "Why. Take `min(value)` of all\nvalues: a long-running one."

    def test_points_hang_below_their_number(self) -> None:
        text = "Two:\n\n1. first the one that is long\n2. then the other\n\n- and a third one"
        assert terminal_text(text, 20) == (
            "Two:\n\n1. first the one\n   that is long\n2. then the other\n\n- and a third one"
        )

    def test_drawings_and_tables_stay(self) -> None:
        drawing = "runs  ─< metrics ─< points, a line that is wide\n\n  └─ so is **this**"
        table = "| a | **b** |\n|---|---|\n| 1 | 2 |"
        assert terminal_text(f"Look:\n\n```text\n{drawing}\n```\n\n{table}", 20) == f"Look:\n\n{drawing}\n\n{table}"
