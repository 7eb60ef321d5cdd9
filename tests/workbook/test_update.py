"""A newer version in a repository of its own, a candidate's checkout of it, and the real command."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbook.judge import NotJudged
from workbook.source import source_with
from workbook.tries import tries
from workbook.update import fill, reset, write_whole

NOTEBOOK = Path("notebooks/start.ipynb")
EXERCISES = Path("exercises/day1-python-backend-db/03-database-schema-exercises.ipynb")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def upstream(checkout: Path) -> Path:
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "one")
    return checkout


@pytest.fixture
def mine(upstream: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(upstream), "mine")
    return tmp_path / "mine"


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbook", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workbook(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code, and all that was said."""
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def edit(file: Path, change: Any) -> None:
    notebook = json.loads(file.read_text())
    change(notebook)
    file.write_text(json.dumps(notebook))


def answer(notebook: dict[str, Any], text: str) -> None:
    cell = next(c for c in notebook["cells"] if c["metadata"].get("workbook", {}).get("role") == "answer")
    cell["source"] = text


def own(notebook: dict[str, Any], text: str) -> None:
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
    notebook["cells"].append(cell)


def release(upstream: Path) -> None:
    """A newer version, with another introduction in each notebook."""
    for name in (NOTEBOOK, EXERCISES):
        notebook = nbformat.reads((upstream / name).read_text(), 4)
        notebook.cells[0].source += "\n\nA newer version."
        (upstream / name).write_text(nbformat.writes(notebook) + "\n")
    git(upstream, "commit", "--quiet", "--all", "--message", "two")


def test_the_newest_version_comes_and_the_work_stays(upstream: Path, mine: Path) -> None:
    edit(mine / NOTEBOOK, lambda n: answer(n, "my answer"))
    edit(mine / EXERCISES, lambda n: own(n, "my notes"))
    release(upstream)
    code, said = workbook(mine, "update")
    assert code == 0, said
    assert f"{NOTEBOOK}: your work is in it" in said
    for name, text in ((NOTEBOOK, "my answer"), (EXERCISES, "my notes")):
        notebook = nbformat.reads((mine / name).read_text(), 4)
        assert text in [cell.source for cell in notebook.cells]
        assert "A newer version." in notebook.cells[0].source
    assert git(mine, "log", "--format=%s").split() == ["two", "one"]
    assert list(mine.glob(".workbook/updated-*/mine/notebooks/start.ipynb"))
    assert git(mine, "status", "--porcelain", "--untracked-files").count("\n") == 2  # the two notebooks, nothing else


def test_work_on_a_notebook_that_is_gone_is_kept_and_named(upstream: Path, mine: Path) -> None:
    edit(mine / EXERCISES, lambda n: answer(n, "my answer"))
    git(upstream, "rm", "--quiet", str(EXERCISES))
    git(upstream, "commit", "--quiet", "--message", "two")
    code, said = workbook(mine, "update")
    assert code == 0, said
    (left,) = mine.glob(".workbook/left/*.py")
    assert str(left.relative_to(mine)) in said
    assert "# d1.b3.e1: the answer\nmy answer" in left.read_text()


def test_a_file_that_is_no_notebook_any_more_is_kept_as_it_is(upstream: Path, mine: Path) -> None:
    (mine / NOTEBOOK).write_text("<<<<<<< my answer")
    release(upstream)
    code, said = workbook(mine, "update")
    assert code == 0, said
    (left,) = mine.glob(".workbook/left/start-*.ipynb")
    assert left.read_text() == "<<<<<<< my answer"


@pytest.mark.parametrize("obstacle", ["no upstream", "a local change"])
def test_what_git_will_not_do_is_said_and_the_work_is_where_it_was(upstream: Path, mine: Path, obstacle: str) -> None:
    edit(mine / NOTEBOOK, lambda n: answer(n, "my answer"))
    release(upstream)
    if obstacle == "no upstream":
        shutil.rmtree(upstream)
    else:
        (upstream / "README.md").write_text("newer")
        git(upstream, "commit", "--quiet", "--all", "--message", "three")
        (mine / "README.md").write_text("mine")
    code, said = workbook(mine, "update")
    assert code == 1
    assert "workbook: git pull: " in said
    assert "Your work is where it was. Mend that, and type `workbook update` again" in said
    assert "Traceback" not in said
    assert '"my answer"' in (mine / NOTEBOOK).read_text()


def test_one_that_was_ended_before_it_had_the_newest_version_brings_it(upstream: Path, mine: Path) -> None:
    """And what was written between the two is copied."""
    edit(mine / NOTEBOOK, lambda n: answer(n, "my answer"))
    copies = mine / ".workbook/update"
    for kind, text in (("mine", (mine / NOTEBOOK).read_text()), ("built", git(mine, "show", f"HEAD:{NOTEBOOK}"))):
        (copies / kind / NOTEBOOK).parent.mkdir(parents=True)
        (copies / kind / NOTEBOOK).write_text(text)
    (copies / "complete").write_text("")
    edit(mine / NOTEBOOK, lambda n: answer(n, "a later one"))
    release(upstream)
    code, said = workbook(mine, "update")
    assert (code, "Going on with an update" in said) == (0, True), said
    sources = [cell.source for cell in nbformat.reads((mine / NOTEBOOK).read_text(), 4).cells]
    assert "my answer" in sources
    assert "A newer version." in sources[0]
    (meanwhile,) = mine.glob(".workbook/updated-*/start-meanwhile-*.ipynb")
    assert "a later one" in meanwhile.read_text()


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(i, marks=pytest.mark.slow) for i in range(2, 20))])
def test_whatever_ends_it_in_the_middle_the_next_one_goes_on(upstream: Path, mine: Path, seed: int) -> None:
    edit(mine / NOTEBOOK, lambda n: answer(n, "my answer"))
    edit(mine / EXERCISES, lambda n: own(n, "my notes"))
    release(upstream)
    rng = random.Random(seed)
    for _ in range(3):
        process = start(mine, "update")
        time.sleep(rng.uniform(0.2, 1.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for lock in mine.glob(".git/*.lock"):  # git's own, when it was killed too
            lock.unlink()
        for name in (NOTEBOOK, EXERCISES):
            nbformat.validate(nbformat.reads((mine / name).read_text(), 4))
    code, said = workbook(mine, "update")
    assert code == 0, said
    for name, text in ((NOTEBOOK, "my answer"), (EXERCISES, "my notes")):
        sources = [cell.source for cell in nbformat.reads((mine / name).read_text(), 4).cells]
        assert sources.count(text) == 1
        assert "A newer version." in sources[0]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "a.ipynb"
    write_whole(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(file, "new" * 10_000 + "\ud800")
    assert file.read_text() == "old"


class TestReset:
    def test_an_unknown_exercise_is_refused(self, checkout: Path) -> None:
        code, said = workbook(checkout, "reset", "d9.b9.e9")
        assert code == 1
        assert "there is no exercise and no block 'd9.b9.e9'" in said

    def test_one_exercise_is_emptied_and_its_try_kept(self, checkout: Path) -> None:
        edit(checkout / EXERCISES, lambda n: answer(n, "my answer"))
        edit(checkout / EXERCISES, lambda n: own(n, "my notes"))
        code, said = workbook(checkout, "reset", "d1.b3.e1")
        assert (code, "d1.b3.e1 as it was built" in said) == (0, True), said
        source = source_with("d1.b3.e1")
        assert source
        cells = [cell.source for cell in nbformat.reads((checkout / EXERCISES).read_text(), 4).cells]
        assert source.exercises["d1.b3.e1"].stub in cells
        assert "my notes" in cells
        assert [one.answer for one in tries("d1.b3.e1", checkout)] == ["my answer"]

    @pytest.mark.parametrize("target", ["d1.b3", "all"])
    def test_a_block_is_as_it_was_built_and_its_copy_kept(self, checkout: Path, target: str) -> None:
        built = (checkout / EXERCISES).read_text()
        edit(checkout / EXERCISES, lambda n: own(n, "my notes"))
        assert workbook(checkout, "reset", target)[0] == 0
        assert (checkout / EXERCISES).read_text() == built
        (copy,) = checkout.glob(f".workbook/reset-*/{EXERCISES.name}")
        assert "my notes" in copy.read_text()

    @pytest.mark.parametrize("end", [reset, fill])
    def test_what_cannot_be_kept_stays_in_the_notebook(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[..., Path]
    ) -> None:
        source = source_with("d1.b3.e1")
        assert source
        before = (checkout / EXERCISES).read_bytes()
        monkeypatch.setattr("workbook.update.keep", lambda *_: False)
        with pytest.raises(NotJudged, match=r"your answer to d1\.b3\.e1 cannot be kept in \.workbook/tries"):
            end(source, {"d1.b3.e1"}, checkout)
        assert (checkout / EXERCISES).read_bytes() == before

    def test_a_notebook_that_was_moved_is_reset_where_it_is(self, checkout: Path) -> None:
        (checkout / EXERCISES).rename(checkout / "exercises/mine.ipynb")
        source = source_with("d1.b3.e1")
        assert source
        assert reset(source, {"d1.b3.e1"}, checkout) == checkout / "exercises/mine.ipynb"
