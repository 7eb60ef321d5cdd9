"""A disk that is full and a folder that is read-only: real ones, mounted for one process. Nothing that was acknowledged
is lost, and what is wrong is said in a sentence."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

PYTHON = sys.executable


def mounting(folder: Path, options: str, *command: str) -> list[str]:
    """The command, in a place of its own where `folder` is a file system in memory."""
    script = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder), *command]


@pytest.fixture(autouse=True)
def can_mount(tmp_path: Path) -> None:
    """Linux lets every user do this, unless somebody has forbidden it."""
    possible = (
        shutil.which("unshare")
        and not subprocess.run(mounting(tmp_path, "size=1m", "true"), capture_output=True, check=False).returncode
    )
    if not possible:
        assert os.environ.get("CI") != "true", "unshare --user --mount is not possible here"
        pytest.skip("not run: it needs Linux with user namespaces (unshare --user --mount)")


@contextmanager
def serving(folder: Path, options: str) -> Iterator[tuple[str, Path]]:
    """A server whose data are in a small file system: its address, and that file system as seen from here."""
    command = [PYTHON, "-m", "tracker", "serve", "--quiet", "--port", "0", "--dir", str(folder)]
    with subprocess.Popen(mounting(folder, options, *command), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"(http://\S+)/ui/", process.stdout.readline())
        assert found
        try:
            yield found[1], Path(f"/proc/{process.pid}/root{folder}")
        finally:
            process.terminate()


def fill(folder: Path, leave: int) -> Path:
    """A file that takes all the room there is, but for some bytes."""
    filler = folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(folder).free - leave))
    return filler


def points(start: int) -> dict[str, Any]:
    return {"series": {"loss": {"steps": list(range(start, start + 500)), "values": [0.5] * 500}}}


def steps(http: httpx.Client, run_id: int) -> list[int]:
    found: list[int] = http.get(f"/runs/{run_id}/metrics/loss", params={"max_points": 100_000}).json()["steps"]
    return found


def test_a_server_with_a_full_disk_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with serving(tmp_path, "size=16m") as (url, folder), httpx.Client(base_url=url) as http:
        made = http.post("/experiments", json={"name": "e"}).json()
        run_id = http.post(f"/experiments/{made['id']}/runs", json={}).json()["id"]
        filler = fill(folder, leave=400_000)
        stored, answer = 0, http.get("/healthz")
        while stored < 200 and answer.status_code < 400:
            answer = http.post(f"/runs/{run_id}/metrics", json=points(500 * stored))
            stored += answer.status_code == 201
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "database or disk is full" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "1"
        assert steps(http, run_id) == list(range(500 * stored))
        filler.unlink()
        assert http.post(f"/runs/{run_id}/metrics", json=points(500 * stored)).status_code == 201
        assert steps(http, run_id) == list(range(500 * (stored + 1)))


def test_a_training_with_a_full_disk_goes_on_and_what_it_logs_arrives_when_there_is_room(
    server: Any, tmp_path: Path
) -> None:
    code = (
        "import sys, tracker\n"
        "def told(what): print(what, flush=True); sys.stdin.readline()\n"
        "run = tracker.init('full', external_id='full')\n"
        "told('begun')\n"
        "for step in range(20_000): run.log({'loss': step}, step)\n"
        "told('logged')\n"
        "run.finish()"
    )
    environment = os.environ | {"TRACKER_URL": server.url, "TRACKER_DIR": str(tmp_path)}
    command = mounting(tmp_path, "size=16m", PYTHON, "-c", code)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        filler = fill(Path(f"/proc/{process.pid}/root{tmp_path}"), leave=200_000)
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "logged\n"
        filler.unlink()
        _, said = process.communicate("\n", timeout=60)
    assert said.count("the disk is full") == 1
    with httpx.Client(base_url=server.url) as http:
        (run,) = [r for r in http.get("/runs").json()["items"] if r["external_id"] == "full"]
        assert run["status"] == "finished"
        assert steps(http, run["id"]) == list(range(20_000))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([PYTHON, "-m", "tracker", "serve", "--port", "0"], "cannot be written (Read-only file system): name another"),
        ([PYTHON, "-m", "tracker", "doctor"], "cannot be written\n"),
        ([PYTHON, "-c", "import tracker; tracker.init('e')"], "(Read-only file system); name another folder with"),
    ],
)
def test_a_read_only_folder_is_refused_with_what_to_do(tmp_path: Path, command: list[str], says: str) -> None:
    environment = os.environ | {"TRACKER_DIR": str(tmp_path / "data")}
    ran = subprocess.run(
        mounting(tmp_path, "ro", *command), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1
    assert says in ran.stdout + ran.stderr
