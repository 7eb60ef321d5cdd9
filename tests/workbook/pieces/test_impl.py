"""`pytest --impl`: another tracker, in this process, in those that it starts, and in xdist's workers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbook.source import ROOT

pytestmark = pytest.mark.thorough

WHERE = """
import subprocess
import sys
from pathlib import Path

import pytest

import tracker
import tracker.server.schema

MINE = "{mine}"


@pytest.mark.parametrize("number", range(4))
def test_here(number):
    assert tracker.__file__ == f"{{MINE}}/tracker/__init__.py"
    assert tracker.server.schema.__file__.startswith(MINE)


@pytest.mark.parametrize("folder", ["{root}", "/"])
def test_in_a_process_of_its_own(folder):
    ask = [sys.executable, "-c", "import tracker; print(tracker.__file__)"]
    assert subprocess.check_output(ask, cwd=folder, text=True).strip() == tracker.__file__


def test_as_a_command():
    for command in ([sys.executable, "-m", "tracker"], [str(Path(sys.executable).parent / "tracker")]):
        assert subprocess.check_output([*command, "--version"], cwd="{root}", text=True) == "tracker mine\\n"
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    shutil.copytree(ROOT / "tracker", folder / "tracker", ignore=shutil.ignore_patterns("__pycache__"))
    package = folder / "tracker/__init__.py"
    package.write_text(package.read_text() + '\n__version__ = "mine"\n')
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    quick = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    command = [sys.executable, "-m", "pytest", "-q", *quick, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_folder_without_a_tracker_is_refused(tmp_path: Path) -> None:
    ran = run("--impl", str(tmp_path))
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"{tmp_path} holds no tracker: `workbook graduate` makes my_tracker" in ran.stderr


@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_is_imported_everywhere(mine: Path, tmp_path: Path, workers: str) -> None:
    test = tmp_path / "test_where.py"
    test.write_text(WHERE.format(mine=mine, root=ROOT))
    ran = run("--impl", str(mine), "-n", workers, f"--rootdir={ROOT}", str(test))
    assert "7 passed" in ran.stdout, ran.stdout


def test_without_a_path_the_trackers_own_tests_are_run(mine: Path) -> None:
    ran = run("--impl", str(mine), "--collect-only", "-k", "test_rank or test_status or test_board")
    assert "tests/tracker/" in ran.stdout
    assert "tests/workbook" not in ran.stdout


def test_a_wrong_piece_turns_them_red(mine: Path) -> None:
    ran = run("--impl", str(mine), "tests/tracker/test_values.py", "-v")
    assert ran.returncode == 0, ran.stdout
    assert f"tracker: {mine}/tracker" in ran.stdout
    values = mine / "tracker/values.py"
    values.write_text(values.read_text() + "\n\ndef rank(*_: object) -> tuple[float, float]:\n    return (0, 0)\n")
    assert "FAILED tests/tracker/test_values.py" in run("--impl", str(mine), "tests/tracker/test_values.py").stdout
