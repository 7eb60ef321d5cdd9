"""The command `workbook` itself."""

import subprocess
import sys

import pytest

from workbook import cli, update


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check", "--help"], ["hint", "--help"], ["study", "--help"], ["author", "build", "--help"]],
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-m", "workbook", *arguments], capture_output=True, text=True, check=True)
    assert "usage: workbook" in ran.stdout


def test_a_reader_who_has_seen_enough_is_no_mistake() -> None:
    command = f"{sys.executable} -u -m workbook status | head -n 1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("Warm-up\n0\n", "")


def test_a_file_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", "exercises/x.ipynb")

    monkeypatch.setattr(update, "update", full)
    assert cli.main(["update"]) == 1
    assert capsys.readouterr().err == "workbook: exercises/x.ipynb: No space left on device\n"
