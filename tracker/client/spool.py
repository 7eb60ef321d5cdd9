"""The spool: one file per run, to which each `log()` appends one line before anything travels.

A line that was written survives `kill -9` of the training; what the server has confirmed is remembered beside the file,
in the cursor. Sending again from an old cursor is harmless, because the server overwrites a point that it has.

    <TRACKER_DIR>/spool/<external_id>.jsonl     the lines
    <TRACKER_DIR>/spool/<external_id>.cursor    how many bytes of them the server has confirmed; locked by who sends
    <TRACKER_DIR>/spool/<external_id>.refused   lines that the server refused, each batch after a line with the reason

Each line is one JSON object, and its first key says what it is (times are milliseconds, UTC; values as in `encode`):

    {"run": {"experiment": "digits", "external_id": "5f0c...", "attempt": "91d2...", "name": "slow",
             "params": {"lr": 0.003}, "tags": {}}, "at": 1767225600000, "v": 1}
    {"log": {"loss": 2.3, "grad_norm": "NaN"}, "step": 0, "at": 1767225600012}
    {"rewind": 0, "at": 1767225600020}
    {"end": "finished", "at": 1767225660000}

`run` comes first, and again whenever a process resumes the run. `v` is the version of this format. A last line without
its newline is one that is being written, or that a crash tore: it is not read.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VERSION = 1
TAIL = 1 << 16  # bytes, of the end of the file, in which the last log line is looked for


class Spool:
    """The file of one run: append on one side, read and advance on the other."""

    def __init__(self, file: Path) -> None:
        """Opens the file, and makes it and its folder where they are missing. Raises OSError where that fails."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._cursor_fd = os.open(file.with_suffix(".cursor"), os.O_RDWR | os.O_CREAT, 0o644)

    def append(self, line: bytes) -> None:
        """Writes one line, newline included, with one system call: two threads never mix theirs."""
        os.write(self._fd, line)

    def newest(self) -> tuple[int, int]:
        """Step and time of the last thing logged here, by an earlier attempt at the run; (-1, 0) if there is none."""
        size = os.fstat(self._fd).st_size
        for line in reversed(os.pread(self._fd, TAIL, max(0, size - TAIL)).split(b"\n")):
            with suppress(ValueError):
                entry = json.loads(line)
                if "log" in entry or "rewind" in entry:
                    return entry["step" if "log" in entry else "rewind"], entry["at"]
        return -1, 0

    def lines(self, start: int = 0, limit: int = 1 << 20) -> Iterator[tuple[bytes, int]]:
        """The whole lines from byte `start` on, each with the byte after it; about `limit` bytes of them."""
        block = os.pread(self._fd, limit, start)
        while b"\n" not in block:  # a line longer than the limit, or none
            more = os.pread(self._fd, limit, start + len(block))
            if not more:
                return
            block += more
        end = start
        for line in block[: block.rindex(b"\n")].split(b"\n"):
            end += len(line) + 1
            yield line, end

    @property
    def cursor(self) -> int:
        """How many bytes the server has confirmed; 0 for a cursor that is damaged, or of a file that was longer."""
        text = os.pread(self._cursor_fd, 20, 0)
        position = int(text) if text.strip().isdigit() else 0
        return position if position <= os.fstat(self._fd).st_size else 0

    @cursor.setter
    def cursor(self, position: int) -> None:
        os.pwrite(self._cursor_fd, b"%-20d" % position, 0)  # one width: a shorter number leaves no old digit

    @property
    def drained(self) -> bool:
        """The server has all of it."""
        return self.cursor >= os.fstat(self._fd).st_size

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """True for the one process that may send this spool; False while another does."""
        try:
            fcntl.flock(self._cursor_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._cursor_fd, fcntl.LOCK_UN)

    def set_aside(self, lines: list[bytes], reason: str) -> Path:
        """Keeps lines that the server refused, and returns where."""
        file = self.file.with_suffix(".refused")
        with file.open("ab") as refused:
            refused.write(b"# " + reason.encode() + b"\n" + b"".join(line + b"\n" for line in lines))
        return file

    def close(self) -> None:
        """Gives the files back."""
        os.close(self._fd)
        os.close(self._cursor_fd)
