"""What reading a block is enough to refuse: each fault is planted in a block that is well formed."""

from typing import Any

import pytest

from workbook.author import form

LONG = "word " * 91


@pytest.mark.parametrize(
    "rule", [form.ids, form.hints, form.questions, form.snippets, form.limits, form.skips, form.size, form.anatomy]
)
def test_a_block_in_form_is_not_complained_of(scratch: Any, rule: Any) -> None:
    assert list(rule(scratch.block)) == []


@pytest.mark.parametrize(
    ("rule", "file", "before", "after", "says"),
    [
        (
            *(form.ids, "exercises.md", 'with check("d9.b1.e2")', 'with check("d9.b1.e1")'),
            'd9.b1.e2: its check is for d9.b1.e1: begin it with check("d9.b1.e2")',
        ),
        (
            *(form.ids, "exercises.md", 'with check("d9.b1.e2")', "with open('x')"),
            'd9.b1.e2: its check is for nobody: begin it with check("d9.b1.e2")',
        ),
        (
            *(form.ids, "exercises.md", "Count the values", "As in d9.b1.e7, count the values"),
            "d9.b1.e7 is mentioned, and there is no such exercise or question: mend the id",
        ),
        (
            *(form.ids, "lesson.md", "A text.", "A text: d9.b1.q3."),
            "d9.b1.q3 is mentioned, and there is no such exercise or question: mend the id",
        ),
        (
            *(form.hints, "exercises.md", "Python has both.", "Try SELECT count(*) FROM points."),
            None,  # the other exercise's solution
        ),
        (
            *(form.hints, "exercises.md", "Rows, or values?", "SELECT count(*) FROM points"),
            "d9.b1.e2: hint 1 holds a line of the solution: 'SELECT count(*) FROM points'. Say the idea instead",
        ),
        (
            *(form.hints, "exercises.md", "<summary>Hint 2: NaN", "<summary>A thought: NaN"),
            "d9.b1.e1 has 1 hints: write at least 2, <details><summary>Hint 1: ...",
        ),
        (form.questions, "questions.yaml", "Clamp it.", '"TODO: a line"', "questions.yaml:38: TODO: a line"),
        (form.questions, "questions.yaml", "Well, so so ", "", "its model_answer has 128 words; 130 to 280"),
        (form.questions, "questions.yaml", "    - one\n", "", "d9.b1.q1: must_mention: it has 2, write at least 3"),
        (form.questions, "questions.yaml", "    - noise\n", "", "d9.b1.q1: red_flags: it has 1, write at least 2"),
        (
            *(form.questions, "questions.yaml", "core: true", "core: false"),
            "it has 1 core questions: 2 of questions.yaml say 'core: true'",
        ),
        (
            *(form.questions, "questions.yaml", "    - front: Two?\n      back: Two.\n", ""),
            "it has 5 cards in all its questions: make them 6",
        ),
        (
            *(form.questions, "questions.yaml", "      lists: How many rows?\n", ""),
            "no probe asks about the wrong answer d9.b1.e2 lists: add it to a question",
        ),
        (
            *(form.snippets, "lesson.md", "```text\nlow --- high", "```sql\nSELECT 1"),
            "nobody runs 'SELECT 1': make this fence a code cell, or say ```text if it is a drawing",
        ),
        (
            *(form.snippets, "exercises.md", "By a sum.", "By a sum:\n\n```\ncurl http://x/\n```"),
            "nobody runs 'curl http://x/': make this fence a code cell, or say ```text if it is a drawing",
        ),
        (
            *(form.limits, "exercises.md", 'check("d9.b1.e1")', 'check("d9.b1.e1", seconds=600)'),
            "d9.b1.e1: its check may take 600 seconds: nobody waits longer than 60",
        ),
        (form.limits, "exercises.md", 'check("d9.b1.e1")', 'check("d9.b1.e1", seconds=30)', None),
        (
            *(form.skips, "exercises.md", ":role: setup\n\ndef", ":role: setup\n:tags: [nbval-skip]\n\ndef"),
            "d9.b1.e2 has 'nbval-skip': run it, or say why not: '# skipped since 2026-11-24: reason'",
        ),
        (
            *(form.skips, "lesson.md", "max(1, 2)", "import pytest\npytest.skip()"),
            "a cell has 'pytest.skip': run it, or say why not: '# skipped since 2026-11-24: reason'",
        ),
        (
            *(
                form.skips,
                "lesson.md",
                "max(1, 2)",
                "# skipped since 2026-11-24: no card\nimport pytest\npytest.skip()",
            ),
            None,
        ),
        (form.skips, "lesson.md", "One more.", "Never call `pytest.skip` without a reason.", None),
        (
            *(form.size, "exercises.md", "*5 minutes · core · implement", "*9 minutes · core · implement"),
            "lesson, core and questions take 41 minutes (15 + 9 + 5 + 6 + 6), the plan has 40: make some extra",
        ),
        (
            *(form.size, "exercises.md", "*5 minutes · core · predict", "*0 minutes · core · predict"),
            None,
        ),
        (form.size, "lesson.md", "lesson, 15 minutes", "lesson, 35 minutes", "write below the lesson's title '*Day 1"),
        (form.size, "questions.yaml", "Clamp it.", f"'{'x' * 99}'", "shorten by 1, to be one line of the sheet"),
        (
            *(form.anatomy, "exercises.md", "implement (Python)", "implement"),
            "d9.b1.e1: its header says 'implement': in brackets, name one of Python, SQL, YAML, shell, file, text",
        ),
        (form.anatomy, "lesson.md", "*Day 9", "*TODO: Day* 9", "lesson.md:3: TODO: Day"),
        (form.anatomy, "exercises.md", "Python has both.", "<b>TODO: which?</b>", "exercises.md:39: TODO: which?"),
        (form.anatomy, "exercises.md", "return max(low, value)", "return 0  # TODO:", "exercises.md:52: TODO:"),
        (form.anatomy, "exercises.md", "**Otherwise.**", "Or else.", "d9.b1.e1: its solution lacks **Otherwise.**"),
        (
            form.anatomy,
            "exercises.md",
            "predict, then",
            "then",
            "no core exercise is of the kind predict, estimate, dr",
        ),
        (
            *(form.anatomy, "exercises.md", "nothing but Python*\n\nWrite", "PostgreSQL*\n\nWrite"),
            "fewer than two core exercises need nothing but Python",
        ),
        (form.anatomy, "exercises.md", "Two of them.", LONG, "has 96 words: cut it to 90, or part it with +++"),
        (form.anatomy, "exercises.md", "Python has both.", LONG, None),  # a fold is read by choice
        (form.anatomy, "lesson.md", "One more.", LONG, "has 91 words: cut it to 80, or part it with +++"),
        (
            form.anatomy,
            "lesson.md",
            "+++\n\nOne more.\n\n+++\n\n",
            "",
            "the lesson has 13 cells: 14 to 25 can be read in its minutes",
        ),
        (form.anatomy, "lesson.md", "max(1, 2)", "1\n" * 16, "has more than 15 lines: move some into workbook/labs"),
        (form.anatomy, "lesson.md", "max(1, 2)", f"'{'x' * 99}'", "the lesson: a line is wider than 100 characters"),
        (form.anatomy, "lesson.md", "assert time", "time", "shows something else each time: an assert says what must"),
        (form.anatomy, "lesson.md", "## Recap", "## Rest", "the lesson lacks '## Recap'"),
        (form.anatomy, "lesson.md", "## Two questions first", "## Recap", "the lesson lacks '## Two questions first'"),
        (
            *(form.anatomy, "lesson.md", "**Guess before you run the next cell:** and now?", "See:"),
            "section 2 · The other side first asks for a **Guess, and ends with **The rule:**",
        ),
        (
            *(form.anatomy, "lesson.md", "**The rule:** time goes on.", "Time goes on."),
            "section 2 · The other side first asks for a **Guess, and ends with **The rule:**",
        ),
    ],
)
def test_a_fault_is_told_how_to_be_mended(
    scratch: Any, rule: Any, file: str, before: str, after: str, says: str | None
) -> None:
    scratch.edit(file, before, after)
    found = list(rule(scratch.block))
    assert len(found) == (1 if says else 0), found
    assert says is None or says in found[0]


def test_a_core_exercise_is_short(scratch: Any) -> None:
    scratch.edit("exercises.md", "*5 minutes · core · predict", "*0 minutes · core · predict")
    scratch.edit("exercises.md", "*5 minutes · core", "*13 minutes · core")
    assert list(form.size(scratch.block)) == ["d9.b1.e1 takes 13 minutes: shorten it to 12, or make it extra"]


def test_a_stray_file_belongs_to_no_block(scratch: Any) -> None:
    (scratch.block.folder / "notes.txt").write_text("to do")
    assert list(form.size(scratch.block)) == [
        "notes.txt belongs to no block: only asked.yaml, exercises.md, lesson.md, questions.yaml do"
    ]


def test_a_block_of_no_plan_has_no_minutes(scratch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(form.PLAN, "d9.b1")
    assert list(form.size(scratch.block)) == ["d9.b1 is not in the study plan (workbook/plan.py)"]


def test_parts_of_a_lesson_in_another_order_are_refused(scratch: Any) -> None:
    scratch.edit("lesson.md", "**Next:** nothing.", "")
    scratch.edit("lesson.md", "A text.", "**Next:** nothing.")
    (found,) = form.anatomy(scratch.block)
    assert found.startswith("the lesson's parts come in this order: **Out of scope:**, ")


def test_exercises_are_numbered_in_their_order(scratch: Any) -> None:
    for before, after in (("## d9.b1.e1 ·", "## d9.b1.e3 ·"), ('check("d9.b1.e1")', 'check("d9.b1.e3")')):
        scratch.edit("exercises.md", before, after)
    scratch.edit("questions.yaml", "d9.b1.e1:", "d9.b1.e3:")
    scratch.edit("asked.yaml", "e1:", "e3:")
    assert list(form.ids(scratch.block)) == ["d9.b1.e3: as exercise 1 of this folder it is d9.b1.e1: rename it"]
