"""The services of a folder of our own: what is started, found, interrupted and ended. Mostly of Valkey alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from workbook.labs.services import KINDS, NoServices, Service, Services, down, kept, lock, read, up

pytestmark = pytest.mark.services


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the services have their folders."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def folder(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("WORKBOOK_POSTGRES", "off")
    monkeypatch.setenv("WORKBOOK_RABBITMQ", "off")
    yield tmp_path / ".workbook"
    down(tmp_path / ".workbook")
    assert not list(temporary.iterdir())


def runs(pid: int) -> bool:
    """Whoever has started it may not yet have asked how it ended."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def silently(line: str) -> None:
    """What `up` says is of no interest."""


class TestDown:
    def test_nothing_is_nothing(self, folder: Path) -> None:
        assert down(folder) is None
        assert not kept(folder)

    def test_a_process_that_only_has_the_pid_is_left_alone(self, folder: Path) -> None:
        """A keeper was killed long ago, and its pid is somebody else's."""
        folder.mkdir()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            Services(other.pid, ready=True).write(folder)
            assert down(folder) is None
            assert read(folder) is None
            assert psutil.Process(other.pid).is_running()
            other.communicate(b"\n")
        assert other.returncode == 0

    def test_what_has_not_said_its_pid_is_not_ended(self, folder: Path) -> None:
        held = lock(folder)
        assert held is not None
        with pytest.raises(NoServices, match="only just being started; try again"):
            down(folder)
        os.close(held)


class TestUp:
    def test_without_any_program_nothing_is_kept(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBOOK_VALKEY", "off")
        said: list[str] = []
        with pytest.raises(NoServices, match=r"^no service could be started$"):
            up(folder, said.append)
        assert [line.split("(")[1] for line in said] == [
            "WORKBOOK_POSTGRES=off)",
            "WORKBOOK_VALKEY=off)",
            "WORKBOOK_RABBITMQ=off)",
        ]
        assert read(folder) is None
        assert not kept(folder)

    def test_a_keeper_that_fails_is_quoted(self, folder: Path) -> None:
        (folder / "services.json").mkdir(parents=True)
        with pytest.raises(NoServices, match=r"(?s)no service could be started; the keeper said:.*IsADirectoryError"):
            up(folder, silently)
        (folder / "services.json").rmdir()

    def test_while_another_is_starting_them(self, folder: Path) -> None:
        held = lock(folder)
        assert held is not None
        Services(os.getpid()).write(folder)
        with pytest.raises(NoServices, match="being started by another"):
            up(folder, silently)
        (folder / "services.json").unlink()
        os.close(held)

    def test_it_runs_what_can_be_had_once_and_says_what_cannot(self, folder: Path) -> None:
        said: list[str] = []
        services = up(folder, said.append)
        assert said[0] == "PostgreSQL is switched off (WORKBOOK_POSTGRES=off)"
        assert said[1].startswith("Valkey answers, after ")
        (valkey,) = services.started
        assert (valkey.variable, valkey.answers()) == ("TRACKER_REDIS_URL", True)
        assert psutil.Process(valkey.pid).is_running()
        assert (folder / "services.json").stat().st_mode & 0o077 == 0

        said.clear()
        assert up(folder, said.append) == services == read(folder)
        assert said == ["They run already:"]

        assert down(folder) == services
        assert not valkey.answers()
        assert not runs(services.keeper)
        assert not psutil.pid_exists(valkey.pid)
        assert read(folder) is None

    def test_they_outlive_whoever_typed_it(self, folder: Path) -> None:
        command = [sys.executable, "-c", f"{IMPORTS}; up(Path({str(folder)!r}), print)"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, start_new_session=True)
        services = read(folder)
        assert services
        assert services.started[0].answers()
        assert os.getsid(services.keeper) == services.keeper


IMPORTS = "from pathlib import Path; from workbook.labs.services import up"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_what_is_interrupted_leaves_nothing(
    folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None], number: int
) -> None:
    """While PostgreSQL makes its data folder."""
    monkeypatch.delenv("WORKBOOK_POSTGRES")
    command = [sys.executable, "-c", f"{IMPORTS}; up(Path({str(folder)!r}), print)"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=_listening) as process:
        wait_until(lambda: list(temporary.iterdir()))
        process.send_signal(number)
        process.communicate()
    wait_until(lambda: not kept(folder) and not list(temporary.iterdir()), 60)
    assert read(folder) is None


def _listening() -> None:
    """A shell starts its background jobs with Ctrl-C ignored, and they hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_killed_keeper_takes_them_along(folder: Path, temporary: Path, wait_until: Callable[..., None]) -> None:
    services = up(folder, silently)
    os.kill(services.keeper, signal.SIGKILL)
    wait_until(lambda: not kept(folder) and not list(temporary.iterdir()))
    assert not services.started[0].answers()
    assert read(folder) == services  # so that one can say what happened


def test_a_reader_never_sees_half_of_it(folder: Path) -> None:
    folder.mkdir()
    service = Service("Valkey", "TRACKER_REDIS_URL", "redis://127.0.0.1:1/0", 1, 1.5)
    services = Services(1, True, [service])
    services.write(folder)
    first = (folder / "services.json").open()
    Services(2).write(folder)
    assert json.load(first)["keeper"] == 1
    assert read(folder) == Services(2)
    first.close()


def test_each_has_a_variable_that_the_tracker_knows() -> None:
    assert list(KINDS) == ["TRACKER_DATABASE_URL", "TRACKER_REDIS_URL", "TRACKER_RABBITMQ_URL"]
