"""A process that runs a server for somebody else, for as long as that somebody lives.

    python guard.py FOLDER PLAN      the plan as JSON: see Plan

Its owner asks on standard input, a word a line, and each word is answered, on standard output, with what then is:

    state            nothing is done                                   running PID
    start            runs the server, unless it runs                   or, of a server that has ended,
    stop             tells the server to end, and waits                ended CODE
    kill             SIGKILL for the server and all that it started
    pause, resume    SIGSTOP and SIGCONT for the same
    end              (not answered) as when the input is closed

When the input is closed the server is stopped and the folder removed. The operating system closes that pipe however its
other end dies, so a notebook's kernel that is killed leaves neither a server nor a folder. A guard that is itself
killed takes its server along (on Linux), and its folder goes when the next one starts: see `server.sweep`.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

LOOK_SECONDS = 0.2  # how often to see whether the server has ended by itself
STOP_SECONDS = 10.0  # for the server to end when it is told to
SET_PARENT_DEATH_SIGNAL = 1  # of Linux, <linux/prctl.h>


class Plan(TypedDict):
    """What a guard runs. Each command is a list, the program first."""

    prepare: list[list[str]]  # each to its end; when one fails the guard ends, with its code
    beside: list[list[str]]  # run as long as the guard does
    serve: list[str]  # the server
    stop: int  # the signal that tells the server to end


class Guarded:
    """The server, which may be started again after it has ended."""

    def __init__(self, command: list[str], stop: int) -> None:
        self._command, self._stop = command, stop
        self._process = start(command)

    def state(self) -> str:
        """What is answered."""
        code = self._process.poll()
        return f"running {self._process.pid}" if code is None else f"ended {code}"

    def start(self) -> None:
        """Runs it, unless it runs."""
        if self._process.poll() is not None:
            self._process = start(self._command)

    def stop(self) -> None:
        """Lets it end in its own way, if that does not take too long."""
        if self._process.poll() is None:
            self.resume()
            self._process.send_signal(self._stop)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Nothing of it has a chance to say goodbye, or to start anything more."""
        self.pause()
        members = self._signal(signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + STOP_SECONDS
        while not _parents().keys().isdisjoint(members) and time.monotonic() < deadline:
            time.sleep(0.005)  # they are killed, and the kernel puts them away

    def pause(self) -> None:
        """It keeps its connections, and does not answer."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> list[int]:
        """Whom it was sent to."""
        members = family(self._process.pid) if self._process.poll() is None else []
        for pid in members:
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, number)
        return members


def main(folder: str, plan: Plan) -> int:
    """Runs it all until the input is closed; the exit code of the preparation that failed, or 0."""
    beside: list[subprocess.Popen[bytes]] = []
    signal.signal(signal.SIGTERM, _exit)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # our owner has started us undisturbed, and that is handed on
    try:
        for command in plan["prepare"]:
            code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
            if code:
                return code
        beside += map(start, plan["beside"])
        guarded = Guarded(plan["serve"], plan["stop"])
        try:
            obey(guarded)
        finally:
            guarded.stop()
        return 0
    finally:
        for process in beside:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def obey(guarded: Guarded) -> None:
    """Does what is asked, until nobody can ask any more."""
    known: dict[str, Callable[[], object]] = {
        name: getattr(guarded, name) for name in ("state", "start", "stop", "kill", "pause", "resume")
    }
    while True:
        guarded.state()  # a server that has ended by itself is no longer a process
        if select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
            word = os.read(sys.stdin.fileno(), 1024).decode().strip()  # an owner waits for each answer
            if word not in known:
                return
            known[word]()
            print(guarded.state(), flush=True)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """A process that prints into our log, and dies when we do."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=_die_with_parent)


def family(pid: int) -> list[int]:
    """A process, and all that were started by it (where the system shows them), the eldest first."""
    found, parents = [pid], _parents()
    for member in found:  # which grows
        found += [child for child, parent in parents.items() if parent == member]
    return found


def _parents() -> dict[int, int]:
    """The parent of each process that has not ended; nothing on systems without /proc."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, parent = file.read_text().rpartition(")")[2].split()[:2]  # before that, a name with all sorts in it
            if state not in "ZX":
                found[int(file.parent.name)] = int(parent)
    return found


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
