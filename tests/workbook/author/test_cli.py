"""`workbook author contract`, as an author types it."""

from typing import Any

import pytest

from workbook import cli
from workbook.author import contract
from workbook.author.contract import Line
from workbook.author.evidence import Evidence


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
    assert printed.out.count("✓") == 3


def test_a_block_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = said(capsys, "d9.b9")
    assert code == 1
    assert printed.err == "workbook: there is no block 'd9.b9'; the blocks are d0.b0, d1.b3\n"
