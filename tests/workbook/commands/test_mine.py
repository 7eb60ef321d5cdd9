"""A candidate's own tracker, from the notebook to the page in the browser."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import nbformat
import psutil
import pytest

from workbook import cli
from workbook.pieces.piece import path
from workbook.source import source_with, sources

pytestmark = pytest.mark.thorough
FIRST = next(iter(sources()[1].exercises)).rpartition(".")[0]  # the block after the warm-up

LATEST = "d1.b3.e6"


def environment(checkout: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(checkout), "HOME": str(checkout / "home")}


def workbook(checkout: Path, *arguments: str) -> str:
    """What the command prints, once it has succeeded."""
    command = [sys.executable, "-m", "workbook", *arguments]
    ran = subprocess.run(command, cwd=checkout, env=environment(checkout), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@contextmanager
def serving(checkout: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of `workbook serve`, which is ended by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workbook", "serve"],
        cwd=checkout,
        env=environment(checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"dashboard +(http://127.0.0.1:\d+)/ui/", said):
                yield found[1], process
                break
        else:
            pytest.fail(f"{said}{process.communicate()[1]}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def write(checkout: Path, exercise: str, answer: str) -> None:
    source = source_with(exercise)
    assert source
    file = checkout / source.notebooks[0]
    notebook = nbformat.read(file, 4)
    for cell in notebook.cells:
        if cell.metadata.get("workbook") == {"role": "answer", "exercise": exercise}:
            cell.source = answer
    nbformat.write(notebook, file)


def right(exercise: str) -> str:
    source = source_with(exercise)
    assert source
    return next(variant.source for variant in source.exercises[exercise].variants if not variant.says)


def test_a_piece_that_is_solved_runs_in_the_tracker_that_is_served(
    checkout: Path, wait_until: Callable[..., None]
) -> None:
    write(checkout, LATEST, right(LATEST).replace("UPDATE metrics SET", "UPDATE metrics /* mine */ SET"))
    said = workbook(checkout, "graduate")
    assert f"✓ {LATEST} tracker.server.store.points:KEEP_LATEST  yours\n" in said
    assert "○ d1.b3.e5 tracker.server.store.curves:BUCKETS  the reference's: not solved yet\n" in said
    mine = f"1 of {sum(bool(one.piece) for source in sources() for one in source.exercises.values())} pieces is yours"
    assert f"my_tracker: {mine}. `workbook serve` runs it" in said
    assert "/* mine */" in (checkout / "my_tracker/tracker/server/store/points.py").read_text()
    with serving(checkout) as (url, process):
        assert httpx.get(f"{url}/healthz").json()["about"] == f"my_tracker: {mine}"
        own = [child for child in psutil.Process(process.pid).children(recursive=True) if "tracker" in child.cmdline()]
        assert {child.environ()["PYTHONPATH"] for child in own} == {str(checkout / "my_tracker")}
        wait_until(lambda: httpx.get(f"{url}/experiments").json()["items"], 60)
        (experiment,) = httpx.get(f"{url}/experiments").json()["items"]
        runs = f"{url}/experiments/{experiment['id']}/runs"
        wait_until(lambda: httpx.get(runs).json()["items"][0]["latest"], 60)
    assert process.returncode == 0
    assert (checkout / ".tracker/mine/tracker.db").exists()
    assert not (checkout / ".tracker/tracker.db").exists()


def test_with_every_piece_of_day_1_solved_the_demo_runs_on_them(
    checkout: Path, wait_until: Callable[..., None]
) -> None:
    """Each in another form than the tracker has it."""
    day = {exercise.id: exercise for source in sources() for exercise in source.exercises.values()}
    pieces = {id: exercise for id, exercise in day.items() if id.startswith("d1.") and exercise.piece}
    for id in pieces:
        write(checkout, id, right(id))
    said = workbook(checkout, "graduate")
    assert re.findall(r"^✓ (\S+)", said, re.MULTILINE) == list(pieces)
    for exercise in pieces.values():
        file = path(str(exercise.piece), Path())
        assert (checkout / "my_tracker" / file).read_text() != (checkout / file).read_text()
    with serving(checkout) as (url, process):
        assert f"{len(pieces)} of " in httpx.get(f"{url}/healthz").json()["about"]

        def trained() -> bool:
            found = httpx.get(f"{url}/experiments").json()["items"]
            runs = httpx.get(f"{url}/experiments/{found[0]['id']}/runs").json()["items"] if found else []
            return bool(runs) and all(run["status"] == "finished" and run["latest"] for run in runs)

        wait_until(trained, 120)
    assert process.returncode == 0


class TestStart:
    def test_a_block_that_is_not_there_is_refused(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["start", "d9.b9"]) == 1
        assert "there is no block 'd9.b9' yet; the blocks are d0.b0, d1.b" in capsys.readouterr().err

    def test_what_comes_before_is_filled_in_and_what_was_tried_is_kept(self, checkout: Path) -> None:
        write(checkout, "d0.b0.e1", "def best_run(losses):\n    return 'mine'\n")
        said = workbook(checkout, "start", FIRST)
        assert said == (
            "notebooks/start.ipynb: filled in d0.b0.e1. Reload it in JupyterLab\n"
            "What you had tried there is in .workbook/tries\n"
            f"Next: {FIRST}.e1\n"
        )
        assert "return 'mine'" in (checkout / ".workbook/tries/d0.b0.e1.jsonl").read_text()
        assert "d0.b0.e1 solved" in workbook(checkout, "check", "d0.b0.e1")
        board = workbook(checkout, "status")
        assert re.search(r"d0.b0.e1 .* filled in", board)
        assert f"Next: {FIRST}.e1" in board
        assert workbook(checkout, "start", FIRST) == f"Nothing to fill in\nNext: {FIRST}.e1\n"
