"""What all private servers have in common, seen at the one that starts soonest: that nothing of it is left however we
end, and that what was left by others is removed."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from workbook.labs import server as module
from workbook.labs.guard import Plan
from workbook.labs.server import LOCK, NoService, Server, free_port, replies, sweep

LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        if connection.recv(2) == b"hi":
            connection.sendall(b"ho")
        connection.close()
"""


class Greeter(Server):
    """A server as small as can be."""

    title = "The greeter"
    switch = "WORKBOOK_GREETER"
    code = LISTEN

    @classmethod
    def answers_at(cls, url: str) -> bool:
        return replies(url, b"hi", b"ho")

    def _find(self) -> None:
        pass

    def _plan(self) -> Plan:
        port = free_port()
        self.url = f"tcp://127.0.0.1:{port}"
        command = [sys.executable, "-IS", "-c", self.code, str(port)]
        return {"prepare": [], "beside": [], "serve": command, "stop": self.stop}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of other servers are none of our business."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def ended(pid: int) -> bool:
    """Gone, or waiting for somebody to ask how it ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


class TestMissing:
    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
        monkeypatch.setenv("WORKBOOK_GREETER", "off")
        with pytest.raises(NoService, match="The greeter is switched off \\(WORKBOOK_GREETER=off\\)"):
            Greeter()
        assert not list(temporary.iterdir())

    @pytest.mark.parametrize("seconds", [module.START_SECONDS, 0])
    def test_what_does_not_start_says_why(
        self, monkeypatch: pytest.MonkeyPatch, temporary: Path, seconds: float
    ) -> None:
        """It ends at once, or is given no time."""
        monkeypatch.setattr(Greeter, "code", "print('no mood', flush=True); " + ("" if seconds else "input()"))
        monkeypatch.setattr(Greeter, "start_seconds", seconds)
        with pytest.raises(NoService, match="(?s)The greeter did not start; it said:" + (".*no mood" * (seconds > 0))):
            Greeter()
        assert not list(temporary.iterdir())

    def test_what_cannot_be_planned_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
        monkeypatch.setattr(Greeter, "stop", object())
        with pytest.raises(TypeError):
            Greeter()
        assert not list(temporary.iterdir())

    def test_a_closed_one(self) -> None:
        with Greeter() as server:
            pass
        for use in (server.kill, server.restart, server.pause, server.resume, lambda: server.pid):
            with pytest.raises(NoService, match="The greeter runs no longer"):
                use()
        server.close()


def test_an_interrupt_while_the_folder_is_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    def made_and_interrupted(prefix: str) -> str:
        folder = temporary / prefix
        folder.mkdir()
        os.kill(os.getpid(), signal.SIGINT)
        return str(folder)

    monkeypatch.setattr(module.tempfile, "mkdtemp", made_and_interrupted)
    with pytest.raises(KeyboardInterrupt):
        Greeter()
    assert not list(temporary.iterdir())


def test_it_is_killed_and_started_again_where_it_was() -> None:
    with Greeter() as server:
        first, url = server.pid, server.url
        server.kill()
        assert not server.answers()
        with pytest.raises(NoService, match="The greeter has ended \\(exit code -9\\)"):
            _ = server.pid
        server.restart()
        assert server.answers()
        assert (server.pid != first, server.url == url) == (True, True)


def test_one_that_runs_is_started_anew() -> None:
    with Greeter() as server:
        first = server.pid
        server.restart()
        assert server.pid != first
        assert not psutil.pid_exists(first)


def test_a_paused_one_does_not_answer_and_can_be_closed(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.1)
    with Greeter() as server:
        server.pause()
        assert not server.answers()
        server.resume()
        monkeypatch.setattr(module, "ANSWER_SECONDS", 10)
        assert server.answers()
        server.pause()
    assert not list(temporary.iterdir())


def test_closing_leaves_nothing_even_where_a_child_has_our_files(temporary: Path) -> None:
    with Greeter() as server:
        pid, guard = server.pid, server._guard.pid
        child = os.fork()
        if child == 0:
            signal.pause()
        try:
            server.close()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert not psutil.pid_exists(pid)
    assert not psutil.pid_exists(guard)
    assert not list(temporary.iterdir())


def test_an_owner_that_is_killed_leaves_nothing(temporary: Path, wait_until: Callable[..., None]) -> None:
    code = f"import sys, tempfile; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    code += f"tempfile.tempdir = {str(temporary)!r}; "
    code += "from test_server import Greeter; s = Greeter(); print(s.pid, s._guard.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 2
        assert len(list(temporary.iterdir())) == 1
        owner.kill()
    wait_until(lambda: all(map(ended, pids)) and not list(temporary.iterdir()))


class TestSweep:
    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server of a guard that was killed goes on")
    def test_a_guard_that_was_killed_leaves_a_folder_until_the_next_starts(
        self, temporary: Path, wait_until: Callable[..., None]
    ) -> None:
        killed = Greeter()
        pid = killed.pid
        killed._guard.kill()
        wait_until(lambda: ended(pid))
        assert list(temporary.iterdir()) == [killed._folder]
        with Greeter() as server:
            assert list(temporary.iterdir()) == [server._folder]
        killed.close()

    def test_folders_in_use_and_those_of_others_stay(self, temporary: Path) -> None:
        (temporary / "workbook-of-others").mkdir()
        (temporary / "workbook-file").touch()
        (temporary / "elsewhere").mkdir()
        (temporary / "elsewhere" / LOCK).touch()
        (temporary / "workbook-link").symlink_to(temporary / "elsewhere")
        with Greeter() as server:
            sweep()
            assert server._folder.exists()
            assert len(list(temporary.iterdir())) == 5
        assert (temporary / "elsewhere" / LOCK).exists()
