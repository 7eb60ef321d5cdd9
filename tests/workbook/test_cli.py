"""The command `workbook` itself."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["check", "--help"], ["hint", "--help"], ["study", "--help"], ["author", "build", "--help"]],
)
def test_every_command_explains_itself(arguments: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-m", "workbook", *arguments], capture_output=True, text=True, check=True)
    assert "usage: workbook" in ran.stdout
