"""A private server: its own folder, a free port of 127.0.0.1, gone when its process is.

    with Valkey() as server:
        connect(server.url)
        server.kill()         as a machine dies: nothing of it says goodbye
        server.restart()      the same port, the same folder

    server = Valkey()         in a notebook: it ends with the kernel, or with `server.close()`

What runs is a guard (see `guard`), and the server is its child. The folder, `workbook-NAME-...` among the temporary
ones, has a file `guard.lock` that is locked for as long as the guard lives; a folder whose lock is free has been left
behind, and is removed when the next server starts.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from . import guard
from .guard import Plan

LOCK = "guard.lock"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
START_SECONDS = 30.0  # most take less than one, RabbitMQ five; a busy computer may take longer
ANSWER_SECONDS = 1.0  # for one question whether it is there


class NoService(Exception):
    """There is no such server, or it did not start; the text says what is missing and how to get it."""


class Server:
    """A running server. Raises NoService (or the kind of it that is `Missing`)."""

    title: ClassVar[str]  # as people call it
    switch: ClassVar[str]  # a variable; "off": behave as if there were none, to see what others see
    Missing: ClassVar[type[NoService]] = NoService
    stop: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = START_SECONDS

    url: str  # what its clients want

    def __init__(self) -> None:
        if os.environ.get(self.switch) == "off":
            raise self.Missing(f"{self.title} is switched off ({self.switch}=off)")
        self._find()
        try:
            with _undisturbed():
                self._begin()
            self._wait()
        except BaseException:
            if hasattr(self, "_guard"):
                self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the server itself. Raises NoService when it has ended."""
        state, number = self._ask("state").split()
        if state == "ended":
            raise self.Missing(f"{self.title} has ended (exit code {number})")
        return int(number)

    def kill(self) -> None:
        """SIGKILL for the server and all that it started. What it kept in memory only is lost."""
        self._ask("kill")

    def restart(self) -> None:
        """Starts it again, on the same port and folder; one that still runs is told to end before. Raises NoService."""
        self._ask("stop")
        self._ask("start")
        self._wait()

    def pause(self) -> None:
        """Stops it where it is: connections stay, and nothing is answered, as with a network that swallows all."""
        self._ask("pause")

    def resume(self) -> None:
        """Lets it go on."""
        self._ask("resume")

    def close(self) -> None:
        """Stops the server and removes its folder; doing it again changes nothing."""
        pipe = self._guard.stdin
        assert pipe
        with suppress(BrokenPipeError):
            if not pipe.closed:
                pipe.write(b"end\n")  # closing is not enough where a forked child has the pipe too
        pipe.close()
        self._guard.wait()
        assert self._guard.stdout
        self._guard.stdout.close()
        self._log.close()

    def answers(self) -> bool:
        """Whether a client would be served."""
        return self.answers_at(self.url)

    @classmethod
    def answers_at(cls, url: str) -> bool:
        """The same of any server of this kind."""
        raise NotImplementedError

    def _find(self) -> None:
        """Looks for its programs. Raises NoService."""
        raise NotImplementedError

    def _plan(self) -> Plan:
        """What to run; `self._folder` is there, and `self.url` is settled here."""
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        """What it is to find in its environment besides ours."""
        return {}

    def _begin(self) -> None:
        """Makes the folder and starts the guard, which from then on is answerable for the folder."""
        sweep()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the server is
        self._folder, lock = _locked_folder(f"workbook-{type(self).__name__.lower()}-")
        try:
            self._guard = self._start_guard(self._plan(), lock)
        except BaseException:
            shutil.rmtree(self._folder)
            self._log.close()
            raise
        finally:
            os.close(lock)

    def _start_guard(self, plan: Plan, lock: int) -> subprocess.Popen[bytes]:
        """A session of its own: what interrupts a notebook's cell is not meant for the server."""
        return subprocess.Popen(
            [sys.executable, "-IS", guard.__file__, str(self._folder), json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            env=os.environ | self._environment(),
            pass_fds=[lock],
            start_new_session=True,
        )

    def _ask(self, word: str) -> str:
        """What the guard answers. Raises NoService when it is no longer there."""
        pipe, answers = self._guard.stdin, self._guard.stdout
        assert pipe
        assert answers
        answer = b""
        if not pipe.closed:
            with suppress(BrokenPipeError):
                pipe.write(f"{word}\n".encode())
                answer = answers.readline()
        if not answer:
            raise self.Missing(f"{self.title} runs no longer")
        return answer.decode().strip()

    def _wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            try:
                ended = self._ask("state").startswith("ended") or time.monotonic() > deadline
            except NoService:
                ended = True
            if ended:
                raise self.Missing(f"{self.title} did not start; it said:\n{self._said()}") from None
            time.sleep(0.02)

    def _said(self) -> str:
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-10:])


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def replies(url: str, question: bytes, answer: bytes) -> bool:
    """Whether what listens at this address answers a question in this way."""
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port), ANSWER_SECONDS) as connection:
            connection.sendall(question)
            return connection.recv(len(answer)) == answer
    except OSError:
        return False


def sweep() -> None:
    """Removes the folders of guards that were killed."""
    for folder in Path(tempfile.gettempdir()).glob("workbook-*"):
        try:
            lock = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue  # somebody else's, or not yet made
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(prefix: str) -> tuple[Path, int]:
    """A new folder, and its lock, which is held by whoever has this file open. It gets its name when it is locked:
    nobody may take it for one that was left behind."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    unnamed = folder / "making.lock"
    lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    unnamed.rename(folder / LOCK)
    return folder, lock


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and its like have to wait: a folder that nobody has heard of yet would stay for ever."""
    if threading.current_thread() is not threading.main_thread():  # which signals do not interrupt
        yield
        return
    came: list[int] = []
    # Blocking them is not enough: a signal for the process goes to any of its threads.
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
