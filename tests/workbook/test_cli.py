"""The command `workbook`, as a candidate types it."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from workbook import cli
from workbook.build import exercise_notebook
from workbook.check import State, Verdict
from workbook.source import Source, sources

WARM_UP, BLOCK = sources()
RIGHT = """
def best_run(losses):
    healthy = {name: loss for name, loss in losses.items() if loss == loss}
    return min(healthy, key=healthy.get, default=None)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose exercise notebooks are untouched."""
    for source in (WARM_UP, BLOCK):
        write(tmp_path, source)
    monkeypatch.setattr(cli, "find", lambda source: tmp_path / source.notebooks[0])
    return tmp_path


def write(checkout: Path, source: Source, answer: str | None = None) -> None:
    notebook = exercise_notebook(source)
    for cell in notebook.cells:
        if answer and cell.cell_type == "code" and cell.metadata.workbook.role == "answer":
            cell.source = answer
    file = checkout / source.notebooks[0]
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, file)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", "--help"], ["study", "--help"], ["author", "build", "--help"]]
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-m", "workbook", *arguments], capture_output=True, text=True, check=True)
    assert "usage: workbook" in ran.stdout


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("d9.b9.e9", "there is no exercise and no notebook 'd9.b9.e9'; the exercises are d0.b0.e1, d1.b3.e1,"),
        ("README.md", "README.md is no exercise notebook"),
        ("nothing.ipynb", "there is no exercise and no notebook 'nothing.ipynb'"),
    ],
)
def test_what_cannot_be_checked_is_refused(target: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", target]) == 1
    assert capsys.readouterr().err.startswith(f"workbook: {says}")


def test_all_are_checked_and_counted(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(checkout, WARM_UP, RIGHT)
    assert cli.main(["check"]) == 1
    assert capsys.readouterr().out == (
        "✓ d0.b0.e1 solved\n    4 checks passed\n"
        + "".join(f"○ {exercise} not attempted\n" for exercise in BLOCK.exercises)
        + "1 solved, 5 not attempted\n"
    )


def test_one_that_is_solved_is_a_success(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(checkout, WARM_UP, RIGHT)
    assert cli.main(["check", "d0.b0.e1"]) == 0
    assert capsys.readouterr().out == "✓ d0.b0.e1 solved\n    4 checks passed\n"


def test_one_that_its_author_scored_is_a_success(
    checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = Verdict("d0.b0.e1", State.SELF_SCORED, "2 of 3 points")
    monkeypatch.setattr(cli, "judge_notebook", lambda path, wanted: iter([verdict]))
    assert cli.main(["check", "d0.b0.e1", "d1.b3.e1"]) == 0
    said = capsys.readouterr().out
    assert said == "◐ d0.b0.e1 self-scored\n    2 of 3 points\n" * 2 + "2 self-scored\n"


def test_a_wrong_one_is_told_why(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(checkout, WARM_UP, "def best_run(losses):\n    return max(losses, key=losses.get)")
    assert cli.main(["check", str(checkout / WARM_UP.notebooks[0])]) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "✗ d0.b0.e1 wrong",
        "    the name of the lowest loss",
        "    checked:   best_run({'slow': 0.44, 'good': 0.02}) == 'good'",
    ]


def test_a_notebook_that_is_gone_is_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbook import judge

    monkeypatch.setattr(cli, "find", lambda source: judge.find(source, tmp_path))
    assert cli.main(["check", "d0.b0.e1"]) == 1
    assert "git checkout -- notebooks/start.ipynb" in capsys.readouterr().err
