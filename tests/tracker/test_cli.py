"""The command `tracker`, as a user types it."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

TRACKER = [sys.executable, "-m", "tracker"]


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server process, and the address that it printed."""
    command = [*TRACKER, "serve", "--dir", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = ""
        while not (found := re.search(r"(http://\S+)/ui/", line)):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
        try:
            yield found[1], process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def tracker(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRACKER, *arguments], env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed said: one line, and no traceback."""
    assert ran.returncode == 1
    assert ran.stderr.startswith("tracker: ")
    assert ran.stderr.count("\n") == 1
    return ran.stderr


@pytest.mark.parametrize("command", ["", "serve", "demo", "sync", "export", "import", "doctor", "key", "key create"])
def test_every_command_explains_itself(command: str) -> None:
    ran = tracker(*command.split(), "--help")
    assert ran.returncode == 0
    assert "usage: tracker" in ran.stdout


@pytest.mark.parametrize("command", ["demo", "sync"])
def test_without_a_server_it_says_how_to_start_one(command: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool" / "a.jsonl"
    spool.parent.mkdir()
    spool.write_text('{"run": {"experiment": "a", "external_id": "a"}, "at": 0, "v": 1}\n')
    said = refused(tracker(command, "--url", "http://127.0.0.1:1", TRACKER_DIR=str(tmp_path)))
    assert "http://127.0.0.1:1 does not answer" in said
    assert "tracker serve" in said


def test_a_url_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "write one like http://127.0.0.1:8000" in refused(tracker("demo", "--url", "here"))


@pytest.mark.parametrize(
    ("port", "says"), [("70000", "from 0 to 65535"), ("-1", "from 0 to 65535"), ("{busy}", "already in use")]
)
def test_a_port_that_cannot_be_had_is_refused(tmp_path: Path, port: str, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        number = port.format(busy=busy.getsockname()[1])
        said = refused(tracker("serve", "--dir", str(tmp_path), "--port", number))
    assert says in said
    assert "name another with --port" in said


def test_a_second_server_on_the_folder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", "0") as (url, _):
        assert f"another tracker has the folder {tmp_path} and listens at {url}" in refused(
            tracker("serve", "--dir", str(tmp_path), "--port", "0")
        )


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(tracker("serve", "--dir", str(tmp_path / "file" / "x")))


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", "0"):
        pass
    with closing(sqlite3.connect(tmp_path / "tracker.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    said = refused(tracker("serve", "--dir", str(tmp_path), "--port", "0"))
    assert "does not fit this version of the tracker" in said


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tracker.db").write_text("my notes " * 1000)
    assert "tracker.db cannot be used" in refused(tracker("serve", "--dir", str(tmp_path), "--port", "0"))
    assert (tmp_path / "tracker.db").read_text() == "my notes " * 1000


def test_a_server_says_of_itself_what_it_was_given(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", "0", "--about", "<b>ours</b>") as (url, _):
        assert httpx.get(f"{url}/healthz").json()["about"] == "<b>ours</b>"
        assert httpx.get(f"{url}/readyz").json()["about"] == "<b>ours</b>"


def test_a_server_listens_at_one_place(tmp_path: Path) -> None:
    assert "not allowed with argument" in tracker("serve", "--port", "0", "--fd", "3", TRACKER_DIR=str(tmp_path)).stderr


def test_ctrl_c_ends_the_server_at_once_and_in_peace(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", "0") as (url, process):
        assert httpx.get(f"{url}/healthz").status_code == 200
    assert process.returncode == 0
    assert process.stderr
    with serving(tmp_path, "--port", "0") as (url, _):
        assert httpx.get(f"{url}/experiments").json() == {"items": [], "next": None}


def test_the_demo_trains_three_runs_that_are_read_back_point_for_point(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", "0") as (url, _):
        ran = tracker("demo", "--epochs", "3", "--url", url, TRACKER_DIR=str(tmp_path))
        assert ran.returncode == 0, ran.stderr
        assert re.findall(r"^ *(too small|just right|too large) .* 3 of 3  accuracy", ran.stdout, re.MULTILINE) == [
            "too small",
            "just right",
            "too large",
        ]
        runs = httpx.get(f"{url}/experiments/1").json()["runs"]["items"]
        assert [(r["name"], r["status"], r["params"]["lr"]) for r in runs] == [
            ("too large", "finished", 1.0),
            ("just right", "finished", 0.1),
            ("too small", "finished", 0.001),
        ]
        for run in runs:
            lines = (tmp_path / "spool" / f"{run['external_id']}.jsonl").read_text().splitlines()
            logged = [entry for entry in map(json.loads, lines) if "log" in entry]
            for key in ("loss", "lr", "grad_norm", "val/loss", "val/accuracy"):
                with urllib.request.urlopen(f"{url}/runs/{run['id']}/metrics/{key}") as answer:
                    curve = json.load(answer)
                here = [(e["step"], e["log"][key], e["at"]) for e in logged if key in e["log"]]
                assert list(zip(curve["steps"], curve["values"], curve["at"], strict=True)) == here
            assert run["latest"]["loss"]["step"] == 3 * 45 - 1


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("served"), "--port", "0") as (url, _):
        made = httpx.post(f"{url}/experiments", json={"name": "digits & co", "at": 1}).json()
        run = httpx.post(f"{url}/experiments/{made['id']}/runs", json={"external_id": "x", "at": 2}).json()
        points = [{"key": "loss", "value": "NaN", "step": step, "at": 3} for step in range(5000)]
        httpx.post(f"{url}/runs/{run['id']}/metrics", json={"points": points})
        yield url


class TestExportAndImport:
    def test_an_unknown_experiment_is_refused(self, served: str) -> None:
        assert "no experiment named 'digit'" in refused(tracker("export", "digit", "--url", served))

    def test_a_place_that_cannot_be_written_is_refused_and_nothing_left(self, served: str, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        said = refused(tracker("export", "digits & co", "--url", served, "-o", str(tmp_path / "here")))
        assert "here cannot be written (Is a directory): name another with --output" in said
        assert [file.name for file in tmp_path.iterdir()] == ["here"]

    @pytest.mark.parametrize(("file", "says"), [("nothing", "cannot be read"), (__file__, "is no export of a tracker")])
    def test_what_cannot_be_imported_is_refused(self, served: str, file: str, says: str) -> None:
        assert says in refused(tracker("import", file, "--url", served))

    def test_there_and_back(self, served: str, tmp_path: Path) -> None:
        file = tmp_path / "kept.jsonl"
        ran = tracker("export", "digits & co", "--url", served, "-o", str(file))
        assert f"{file.stat().st_size:,} bytes of 'digits & co' are in {file}" in ran.stdout
        assert tracker("export", "digits & co", "--url", served).stdout == file.read_text()
        assert tracker("export", "digits & co", "--csv", "--url", served).stdout.count("\n") == 5001
        with serving(tmp_path / "other", "--port", "0") as (url, _):
            assert "1 run of" in tracker("import", str(file), "--url", url).stdout
            assert tracker("export", "digits & co", "--url", url).stdout == file.read_text()

    def test_what_is_refused_is_told_in_lines(self, served: str, tmp_path: Path) -> None:
        file = tmp_path / "edited.jsonl"
        file.write_text('{"run": {"experiment": "e", "external_id": "a/b"}, "at": 1, "v": 1}\n')
        ran = tracker("import", str(file), "--url", served)
        assert ran.returncode == 1
        assert [line.partition(":")[0] for line in ran.stderr.splitlines()] == ["tracker"] * 2
        assert "without 1 of their lines and points, which are in" in ran.stderr

    def test_a_reader_that_has_seen_enough_is_no_error(self, served: str) -> None:
        command = f"'{sys.executable}' -m tracker export 'digits & co' --url {served} | head -n 1"
        ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert (ran.stdout.count("\n"), ran.stderr) == (1, "")
