"""The guard as a process, around small servers of our own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from workbook.labs import guard

SLEEP = "import time; time.sleep(100)"
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); " + SLEEP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "data").write_text("")
    return folder


def python(code: str) -> list[str]:
    return [sys.executable, "-IS", "-c", code]


def start(folder: Path, *commands: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-IS", guard.__file__, str(folder), json.dumps(commands)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_it_stops_the_server_and_removes_the_folder_when_its_input_is_closed(
    folder: Path, wait_until: Callable[..., None]
) -> None:
    with start(folder, python("open('/dev/null')"), python(SLEEP)) as process:
        wait_until(lambda: any(SLEEP in child.cmdline() for child in psutil.Process(process.pid).children()))
        (server,) = psutil.Process(process.pid).children()
        assert process.stdin
        process.stdin.close()
        process.wait()
    assert not server.is_running()
    assert not folder.exists()


def test_a_server_that_ends_by_itself_ends_it(folder: Path) -> None:
    with start(folder, python("raise SystemExit(3)")) as process:
        assert process.wait() == 3
    assert not folder.exists()


def test_without_its_preparation_no_server_starts(folder: Path) -> None:
    with start(folder, python("raise SystemExit(4)"), python("print('served')")) as process:
        out, _ = process.communicate()
    assert (process.returncode, out) == (4, b"")
    assert not folder.exists()


def test_a_server_that_does_not_listen_is_killed() -> None:
    code = "import sys; from workbook.labs import guard; guard.STOP_SECONDS = 0.1; "
    code += f"sys.exit(guard.serve({python(STUBBORN)!r}))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"deaf\n"
        process.stdin.close()
        assert process.wait() != 0
