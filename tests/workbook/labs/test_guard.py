"""The guard as a process, around small servers of our own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from workbook.labs import guard

SLEEP = "import time; time.sleep(100)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-IS', '-c', {SLEEP!r}]).wait()"
STUBBORN = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('deaf', flush=True); " + SLEEP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "data").write_text("")
    return folder


def python(code: str) -> list[str]:
    return [sys.executable, "-IS", "-c", code]


class Owner:
    """What a server's owner has of its guard."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def ask(self, word: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def server(self) -> psutil.Process:
        state, pid = self.ask("state").split()
        assert state == "running"
        return psutil.Process(int(pid))


@contextmanager
def guarded(folder: Path, *commands: list[str], beside: list[list[str]] | None = None) -> Iterator[Owner]:
    """All commands but the last prepare. At the end of the block nobody owns the guard any more, and it has ended."""
    plan = {"prepare": commands[:-1], "beside": beside or [], "serve": commands[-1], "stop": signal.SIGINT}
    command = [sys.executable, "-IS", guard.__file__, str(folder), json.dumps(plan)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Owner(process)


@pytest.mark.parametrize("code", [3, 4])
def test_without_its_preparation_no_server_starts(folder: Path, code: int) -> None:
    with guarded(folder, python(f"raise SystemExit({code})"), python("open('served', 'w')")) as owner:
        assert owner.process.wait() == code
    assert not folder.exists()


def test_it_stops_all_and_removes_the_folder_when_its_input_is_closed(folder: Path) -> None:
    with guarded(folder, python("open('/dev/null')"), python(SLEEP), beside=[python(SLEEP)]) as owner:
        server = owner.server()
        assert len(psutil.Process(owner.process.pid).children()) == 2
        children = psutil.Process(owner.process.pid).children()
    assert not any(child.is_running() for child in [server, *children])
    assert not folder.exists()


def test_it_does_so_when_it_is_told_to_end(folder: Path) -> None:
    with guarded(folder, python(SLEEP)) as owner:
        server = owner.server()
        owner.process.terminate()
        owner.process.wait()
        assert not server.is_running()
        assert not folder.exists()


def test_a_server_that_has_ended_by_itself_may_be_started_again(folder: Path, wait_until: Callable[..., None]) -> None:
    once = f"open({str(folder / 'again')!r}, 'x'); raise SystemExit(5)"
    with guarded(folder, python(once)) as owner:
        wait_until(lambda: owner.ask("state") == "ended 5")
        assert folder.exists()
        owner.ask("start")
        wait_until(lambda: owner.ask("state") == "ended 1")  # for the file is there


def test_what_has_ended_is_no_process_any_more(folder: Path, wait_until: Callable[..., None]) -> None:
    with guarded(folder, python(SLEEP)) as owner:
        server = owner.server()
        server.kill()
        wait_until(lambda: not server.is_running())  # true of a zombie


def test_starting_what_runs_changes_nothing(folder: Path) -> None:
    with guarded(folder, python(SLEEP)) as owner:
        assert owner.ask("state") == owner.ask("start")


@pytest.mark.skipif(sys.platform != "linux", reason="families are seen in /proc")
class TestAFamily:
    @pytest.fixture
    def owner(self, folder: Path) -> Iterator[Owner]:
        with guarded(folder, python(PARENT)) as owner:
            yield owner

    @pytest.fixture
    def family(self, owner: Owner, wait_until: Callable[..., None]) -> list[psutil.Process]:
        wait_until(lambda: owner.server().children())
        return [owner.server(), *owner.server().children()]

    def test_it_is_killed_together(self, owner: Owner, family: list[psutil.Process]) -> None:
        assert owner.ask("kill") == f"ended {-signal.SIGKILL}"
        assert not any(map(alive, family))
        assert owner.ask("kill") == f"ended {-signal.SIGKILL}"

    def test_it_is_paused_together(
        self, owner: Owner, family: list[psutil.Process], wait_until: Callable[..., None]
    ) -> None:
        owner.ask("pause")
        wait_until(lambda: {member.status() for member in family} == {psutil.STATUS_STOPPED})
        owner.ask("resume")
        wait_until(lambda: psutil.STATUS_STOPPED not in {member.status() for member in family})

    def test_it_leaves_nobody_when_it_is_stopped(
        self, owner: Owner, family: list[psutil.Process], wait_until: Callable[..., None]
    ) -> None:
        owner.ask("stop")
        wait_until(lambda: not any(map(alive, family)))

    def test_a_paused_one_can_be_stopped(self, owner: Owner, family: list[psutil.Process]) -> None:
        owner.ask("pause")
        assert owner.ask("stop") != f"ended {-signal.SIGKILL}"

    def test_a_guard_that_is_killed_takes_the_server_along(
        self, owner: Owner, family: list[psutil.Process], wait_until: Callable[..., None]
    ) -> None:
        owner.process.kill()
        wait_until(lambda: not alive(family[0]))
        for orphan in filter(alive, family):  # of a server that does not look after its own
            os.kill(orphan.pid, signal.SIGKILL)


def alive(process: psutil.Process) -> bool:
    """A process that has ended may still be waiting for somebody to ask how."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_server_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    code = "import signal, sys; from workbook.labs import guard; guard.STOP_SECONDS = 0.1; "
    code += f"plan = dict(prepare=[], beside=[], serve={python(STUBBORN)!r}, stop=signal.SIGINT); "
    code += f"sys.exit(guard.main({str(tmp_path / 'lab')!r}, plan))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stderr
        assert process.stderr.readline() == b"deaf\n"
        process.stdin.close()
        assert process.wait() == 0
