"""What `workbook` says about answers, as a candidate types it."""

import re
from pathlib import Path

import nbformat
import pytest

from workbook import cli, progress
from workbook.build import exercise_notebook
from workbook.check import State, Verdict
from workbook.commands import answers
from workbook.source import Source, sources

WARM_UP, *BLOCKS = sources()
BLOCK = next(block for block in BLOCKS if "d1.b3.e3" in block.exercises)
RIGHT = """
def best_run(losses):
    healthy = {name: loss for name, loss in losses.items() if loss == loss}
    return min(healthy, key=healthy.get, default=None)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose exercise notebooks are untouched."""
    for source in (WARM_UP, *BLOCKS):
        write(tmp_path, source)
    monkeypatch.setattr(answers, "find", lambda source: tmp_path / source.notebooks[0])
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
    ("target", "says"),
    [
        ("d1.b3.e9", "there is no exercise, block or notebook 'd1.b3.e9'; there are d1.b3.e1, d1.b3.e2,"),
        ("d9.b9", "there is no exercise, block or notebook 'd9.b9'; `workbook status` lists them all"),
        ("README.md", "README.md is no exercise notebook"),
        ("nothing.ipynb", "there is no exercise, block or notebook 'nothing.ipynb'"),
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
        + "".join(f"○ {exercise} not attempted\n" for block in BLOCKS for exercise in block.exercises)
        + f"1 solved, {sum(len(block.exercises) for block in BLOCKS)} not attempted\n"
    )


def test_a_block_is_judged_as_a_whole_and_what_is_wrong_gets_a_hint(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(checkout, WARM_UP, "def best_run(losses):\n    return min(losses, key=losses.get)")
    assert cli.main(["check", "d0.b0"]) == 1
    assert re.fullmatch(
        r"✗ d0\.b0\.e1 wrong\n(    .*\n)+    `workbook hint d0\.b0\.e1` helps\n", capsys.readouterr().out
    )


def test_one_that_is_solved_is_a_success(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(checkout, WARM_UP, RIGHT)
    assert cli.main(["check", "d0.b0.e1"]) == 0
    assert capsys.readouterr().out == "✓ d0.b0.e1 solved\n    4 checks passed\n"


def test_one_that_its_author_scored_is_a_success(
    checkout: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = Verdict("d0.b0.e1", State.SELF_SCORED, "2 of 3 points")
    monkeypatch.setattr(answers, "judge_notebook", lambda path, wanted: iter([verdict]))
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

    monkeypatch.setattr(answers, "find", lambda source: judge.find(source, tmp_path))
    assert cli.main(["check", "d0.b0.e1"]) == 1
    assert "git checkout -- notebooks/start.ipynb" in capsys.readouterr().err


class TestHint:
    @pytest.fixture(autouse=True)
    def kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A progress file of the test's own."""
        monkeypatch.setattr(progress.read, "__defaults__", (tmp_path, print))
        monkeypatch.setattr(progress.change, "__defaults__", (tmp_path, print))
        return tmp_path / progress.FILE

    def said(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
        code = cli.main(["hint", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    def test_each_says_a_little_more_and_the_last_one_stays(self, capsys: pytest.CaptureFixture[str]) -> None:
        hints = BLOCK.hints("d1.b3.e3")
        for number in (1, 2, 3, 3):
            code, out, _ = self.said(capsys, "d1.b3.e3")
            assert (code, out.splitlines()[0]) == (0, f"d1.b3.e3, hint {number} of 3: {hints[number - 1].title}")
            assert hints[number - 1].text.replace("*", "") in out.replace("\n", " ")
            last = "after a try, workbook solution d1.b3.e3" if number == 3 else "workbook hint d1.b3.e3"
            assert out.endswith(f"If that does not help: {last}\n")

    def test_one_can_be_read_again(self, capsys: pytest.CaptureFixture[str], kept: Path) -> None:
        self.said(capsys, "d1.b3.e3", "2")
        assert self.said(capsys, "d1.b3.e3", "1")[1].startswith("d1.b3.e3, hint 1 of 3: ")
        assert '"d1.b3.e3": 2' in kept.read_text()

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["d9.b9.e9"], "there is no exercise 'd9.b9.e9'; `workbook status` lists them all"),
            (["d1.b3.e3", "4"], "d1.b3.e3 has 3 hints: there is none with the number 4"),
            (["d1.b3.e3", "0"], "d1.b3.e3 has 3 hints: there is none with the number 0"),
            (["d1.b3.e3", "-1"], "d1.b3.e3 has 3 hints: there is none with the number -1"),
        ],
    )
    def test_what_there_is_not_is_named(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
    ) -> None:
        code, _, err = self.said(capsys, *arguments)
        assert code == 1
        assert err.startswith(f"workbook: {says}")

    def test_a_bad_day_for_the_file_is_none_for_the_reader(
        self, capsys: pytest.CaptureFixture[str], kept: Path
    ) -> None:
        kept.parent.write_text("in the way")
        code, out, err = self.said(capsys, "d1.b3.e3")
        assert code == 0
        assert out.startswith("d1.b3.e3, hint 1 of 3: ")
        assert "What you have looked at is not remembered" in err

    def test_a_solution_is_for_whoever_tried(
        self, capsys: pytest.CaptureFixture[str], kept: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workbook.solution._mine", lambda source, exercise: None)
        assert cli.main(["solution", "d1.b3.e3"]) == 1
        assert "try d1.b3.e3 first (workbook hint d1.b3.e3 helps), or say --anyway" in capsys.readouterr().err
        assert not kept.exists()
        assert cli.main(["solution", "d1.b3.e3", "--anyway"]) == 0
        assert "\nWhy. " in capsys.readouterr().out
        assert '"solutions": {\n  "d1.b3.e3": 1' in kept.read_text()


def test_the_board_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status"]) == 0
    said = capsys.readouterr().out
    assert all(exercise in said for source in (WARM_UP, *BLOCKS) for exercise in source.exercises)
    assert "core exercises done" in said
