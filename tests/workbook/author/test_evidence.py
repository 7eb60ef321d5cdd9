"""What running a block brings to light, beside what the contract's tests see of it."""

import shutil
from typing import Any

import pytest

from workbook.author.evidence import Evidence, never_ending
from workbook.check import State
from workbook.source import Exercise


def exercise(kind: str, solution: str) -> Exercise:
    return Exercise("d9.b1.e1", "T", 5, "core", kind, "nothing but Python", solution=solution)


@pytest.mark.parametrize(
    ("kind", "solution", "answer"),
    [
        ("implement (Python)", "def f(x):\n    return x", "def f(x):\n    while True:\n        pass"),
        ("implement (Python)", "@get('/')\ndef f(x: int):\n    return x", "@get('/')\ndef f(x: int):\n    while True:"),
        (
            "implement (Python)",
            "class F:\n    x = 1",
            "class F:\n    def __init__(self, *_, **__):\n        while True",
        ),
        ("predict (Python)", "GUESS = 3", None),
        ("repair (shell)", 'SCRIPT = """\nls\n"""', "SCRIPT = 'while :; do :; done'"),
        ("repair (SQL)", 'Q = """\nSELECT 1\n"""\nD = "a, b"', "Q = 'WITH RECURSIVE n(i)"),
        ("repair (YAML)", 'TEXT = """\na: 1\n"""', None),
        ("explain (text)", 'TEXT = """\na\n"""', None),
        ("explain", "x = 1", None),
        ("implement (Python)", "def f(x:", None),
    ],
)
def test_an_answer_that_never_ends_is_of_the_same_form(kind: str, solution: str, answer: str | None) -> None:
    found = never_ending(exercise(kind, solution))
    assert (found or "").startswith(answer or "") if answer else found is None


def test_a_self_scored_exercise_ends_so_and_needs_no_wrong_answers(scratch: Any) -> None:
    scratch.edit("exercises.md", "implement (Python)", "explain (text)")
    scratch.edit(
        "exercises.md",
        '    assert clamp(2, 1, 3) == 2, "nothing to do for a value between its bounds"',
        '    import workbook\n    clamp(2, 1, 3)\n    workbook.prose("word " * 20, ["one", "two"], "1")',
    )
    from workbook.author.contract import CONTRACT

    evidence = Evidence(scratch.block)
    assert evidence.verdicts["d9.b1.e1", "solution"].state is State.SELF_SCORED
    assert evidence.verdicts["d9.b1.e1", "solution"].message == "1 of 2 points\n1. one\n2. two"
    assert [c for c in CONTRACT[2].broken(evidence) if "d9.b1.e1" in c] == []


def test_answers_are_judged_before_there_is_a_folder_of_notebooks(scratch: Any) -> None:
    shutil.rmtree(scratch.root / "exercises")
    assert Evidence(scratch.block).verdicts["d9.b1.e1", "solution"].state is State.SOLVED


def test_a_notebook_that_pytest_cannot_read_is_no_success(scratch: Any) -> None:
    (scratch.root / scratch.solutions).unlink()
    tested = Evidence(scratch.block).nbval
    assert tested.ran == 0
    assert "not found" in "".join(tested.failed.values())
