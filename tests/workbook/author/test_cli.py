"""`workbook author contract` and `workbook author new`, as an author types them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbook import cli
from workbook.author import cli as author
from workbook.author import contract
from workbook.author.block import blocks
from workbook.author.contract import Line
from workbook.author.evidence import Evidence
from workbook.bank.questions import QuestionError

FOLDER = "workbook/blocks/day1-python-backend-db/01-python-warmup"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines that need no kernel."""
    lines = (
        Line(1, "all is well", lambda evidence: iter(())),
        Line(
            2,
            "its name is short",
            lambda evidence: iter([f"{evidence.block.id} is too long"] * (evidence.block.id != "d0.b0")),
        ),
    )
    monkeypatch.setattr(contract, "CONTRACT", lines)
    monkeypatch.setattr(Evidence, "gather", lambda self: None)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = cli.main(["author", "contract", *arguments])
    return code, capsys.readouterr()


def test_a_block_that_keeps_it_is_a_success(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = said(capsys, "d0.b0")
    assert code == 0
    assert printed.out.splitlines()[:3] == [
        *("d0.b0  Start here: running its answers ...", "  ✓  1  all is well", "  ✓  2  its name is short")
    ]


def test_a_block_that_does_not_is_told_what_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = said(capsys)
    assert code == 1
    assert "  ✗  2  its name is short\n        d1.b3 is too long\n" in printed.out
    assert printed.out.count("✓") == len(blocks()) + 1


def test_a_block_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = said(capsys, "d9.b9")
    assert code == 1
    assert (
        printed.err
        == f"workbook: there is no block 'd9.b9'; the blocks are {', '.join(block.id for block in blocks())}\n"
    )


def test_a_question_that_is_refused_does_not_hide_what_else_there_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Evidence) -> Iterator[str]:
        raise QuestionError("d0.b0.q1: core is true or false")

    def gather(_: Evidence) -> None:
        raise QuestionError("d0.b0.q1: core is true or false")

    lines = (Line(1, "untouched", refused), Line(2, "as it should be", lambda evidence: iter(())))
    monkeypatch.setattr(contract, "CONTRACT", lines)
    monkeypatch.setattr(Evidence, "gather", gather)
    code, printed = said(capsys, "d0.b0")
    assert code == 1
    assert printed.out.splitlines()[1:4] == [
        "  ?  1  untouched",
        "        not to be told while a question is refused: see line 7, here or of another block",
        "  ✓  2  as it should be",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["block", "d1.b9"], "the study plan has no block 'd1.b9'; not written yet are "),
        (["exercise", "d1.b1.e1"], "d1.b1 is not written yet: first `workbook author new block d1.b1`\n"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.setattr(author, "ROOT", tmp_path)
    assert cli.main(["author", "new", *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"workbook: {says}")
    assert list(tmp_path.iterdir()) == []


def test_what_was_begun_is_named_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "workbook").mkdir()
    monkeypatch.setattr(author, "ROOT", tmp_path)
    assert cli.main(["author", "new", "block", "d1.b1"]) == 0
    *files, after = capsys.readouterr().out.splitlines()
    assert files == [
        f"{FOLDER}/{name} written" for name in ("lesson.md", "exercises.md", "questions.yaml", "asked.yaml")
    ]
    assert "`workbook author contract d1.b1` says what is left" in after
    assert cli.main(["author", "new", "exercise", "d1.b1.e4", "--language", "SQL", "--extra"]) == 0
    added, after = capsys.readouterr().out.splitlines()
    assert added == f"{FOLDER}/exercises.md: d1.b1.e4 added as its last exercise"
    assert "`workbook author contract d1.b1` says what is left" in after
    assert "*12 minutes · extra · implement (SQL) · " in (tmp_path / FOLDER / "exercises.md").read_text()
