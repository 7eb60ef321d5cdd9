"""The spool: the file of one run, to which each `log()` appends one line before anything travels.

A line that was written survives `kill -9` of the training; what the server has confirmed is remembered beside the file,
in the cursor. Sending again from an old cursor is harmless, because the server overwrites a point that it has.

    <TRACKER_DIR>/spool/<external_id>.jsonl           the lines, or the first of them
    <TRACKER_DIR>/spool/<external_id>@<byte>.jsonl    a later segment of them, which begins at that byte
    <TRACKER_DIR>/spool/<external_id>.cursor          how many bytes the server has confirmed; locked by who sends
    <TRACKER_DIR>/spool/<external_id>.refused         lines that the server refused, each batch after the reason

Each line is one JSON object, and its first key says what it is (times are milliseconds, UTC; values as in `encode`):

    {"run": {"experiment": "digits", "external_id": "5f0c...", "attempt": "91d2...", "name": "slow",
             "params": {"lr": 0.003}, "tags": {}}, "at": 1767225600000, "v": 1}
    {"log": {"loss": 2.3, "grad_norm": "NaN"}, "step": 0, "at": 1767225600012}
    {"rewind": 0, "at": 1767225600020}
    {"end": "finished", "at": 1767225660000}

`run` comes first, again whenever a process resumes the run, and first in each segment. `v` is the version of this
format. A last line without its newline is one that is being written, or that a crash tore: it is not read.

The same lines are what `tracker export` writes and `tracker import` reads: there a line {"experiment": {"name": ...,
"description": ...}, "at": ..., "v": 1} comes first, then all runs one after the other. A run that waits has the
`status` "queued" in its `run` line.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

SEGMENT = 64 * 1024 * 1024  # bytes after which another segment begins; one that the server has whole is deleted
BACKLOG = 4 * 1024 * 1024  # bytes that wait in memory while the disk is full
APPENDING = os.O_RDWR | os.O_CREAT | os.O_APPEND
TAIL = 1 << 16  # bytes, of the end of the file, in which the last log line is looked for


class Writer:
    """The end at which one process appends. Where another process has it already, this one gets a file of its own."""

    def __init__(self, file: Path) -> None:
        """Opens the newest segment, and makes it and its folder where they are missing. Raises OSError."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._head = b""
        self._lock = threading.RLock()  # again from within: a signal's handler may log
        self._turning = False
        ours = chain([file], (own(file, number) for number in count()))
        self._base, self._fd, self.file = next(opened for name in ours if (opened := _open_newest(name)))
        size = os.fstat(self._fd).st_size
        self._end = self._base + size
        # What a crash tore is ended here, so that it takes nothing else with it.
        self._owed = b"\n" if size and os.pread(self._fd, 1, size - 1) != b"\n" else b""

    def begin(self, head: bytes) -> None:
        """Writes the run's own line, now and at the beginning of each further segment. Raises OSError."""
        self._head = head
        self.append(head)

    def append(self, line: bytes) -> None:
        """Writes one line, newline included, with one system call. Raises OSError if it can be kept nowhere.

        While the disk is full, lines wait in memory, up to a limit, until there is room again.
        """
        with self._lock:
            if self._end - self._base >= SEGMENT and not self._owed and not self._turning:
                self._turning = True  # a line that a signal's handler logs meanwhile begins no segment
                self._begin_segment()
                self._turning = False
            whole = self._owed + line
            try:
                written = os.write(self._fd, whole)
            except OSError:
                if len(whole) > BACKLOG:
                    raise
                written = 0
            self._owed = whole[written:]
            self._end += written

    @property
    def waiting(self) -> bool:
        """Something could not be written to the disk, and is in memory only."""
        return bool(self._owed)

    def newest(self) -> tuple[int, int]:
        """Step of what was logged here last (-1: nothing), and the time of the last line (0: there is none)."""
        size, newest_at = os.fstat(self._fd).st_size, 0
        for line in reversed(os.pread(self._fd, TAIL, max(0, size - TAIL)).split(b"\n")):
            with suppress(ValueError, LookupError, TypeError):
                entry = json.loads(line)
                newest_at = max(newest_at, entry["at"])
                if "log" in entry or "rewind" in entry:
                    return entry["step" if "log" in entry else "rewind"], newest_at
        return -1, newest_at

    def close(self) -> None:
        """Gives the file back, and the right to write it; whatever still comes is kept nowhere."""
        fd, self._fd = self._fd, -1  # another file may soon have this number
        if fd >= 0:
            os.close(fd)

    def _begin_segment(self) -> None:
        """A segment is named by its first byte, so it gets its name only when nothing can be added to the one before.
        By then it is locked, too: no other process may find it first."""
        old, base, unnamed = self._fd, self._base, self.file.with_suffix(".next")
        try:
            fresh = os.open(unnamed, APPENDING | os.O_TRUNC, 0o644)
            try:
                _lock(fresh)
                _write_whole(fresh, self._head)
                self._fd = fresh
                self._base = base + os.fstat(old).st_size
                unnamed.rename(_segment(self.file, self._base))
            except OSError:
                self._fd, self._base = old, base
                os.close(fresh)
                raise
        except OSError:
            pass  # there is no room for a segment: this one grows on
        else:
            os.close(old)
        self._end = self._base + os.fstat(self._fd).st_size


class Spool:
    """The end at which lines are read and sent: one file, in however many segments. Positions are bytes of it all."""

    def __init__(self, file: Path) -> None:
        """Of the run whose first segment `file` is, or was. Raises OSError where the cursor cannot be written."""
        self.file = file
        self._cursor_fd = os.open(file.with_suffix(".cursor"), os.O_RDWR | os.O_CREAT, 0o644)
        self._segments: list[tuple[int, Path]] = []
        self._open: tuple[int, int] | None = None  # the segment that is read: its first byte, its file descriptor

    def lines(self, start: int = 0, limit: int = 1 << 20) -> Iterator[tuple[bytes, int]]:
        """Whole lines from byte `start` on, each with the byte after it; about `limit` bytes of them."""
        base, fd = self._seek(start)
        start = max(start, base)  # what was before has been sent, and deleted
        block = os.pread(fd, limit, start - base)
        while b"\n" not in block:  # a line longer than the limit, or none
            more = os.pread(fd, limit, start + len(block) - base)
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
        base, fd = self._seek(position)
        return position if position <= base + os.fstat(fd).st_size else 0

    @cursor.setter
    def cursor(self, position: int) -> None:
        os.pwrite(self._cursor_fd, b"%-20d" % position, 0)  # one width: a shorter number leaves no old digit
        while len(self._segments) > 1 and self._segments[1][0] <= position:
            self._segments.pop(0)[1].unlink(missing_ok=True)

    @property
    def unsent(self) -> int:
        """Bytes that the server has not confirmed."""
        left = segments(self.file)
        if not left:  # somebody has deleted them
            return 0
        return left[-1][0] + left[-1][1].stat().st_size - max(left[0][0], self.cursor)

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """True for the one process that may send this spool; False while another does."""
        if not _lock(self._cursor_fd):
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):
                fcntl.flock(self._cursor_fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Gives the files back."""
        os.close(self._cursor_fd)
        if self._open:
            os.close(self._open[1])

    def _seek(self, position: int) -> tuple[int, int]:
        """The segment in which this byte is or will be, or the first that is left: its first byte, and itself."""
        if self._open:
            base, fd = self._open
            end = base + os.fstat(fd).st_size
            if base <= position < end or (position == end and not _segment(self.file, end).exists()):
                return self._open
            os.close(fd)
            self._open = None
        self._segments = segments(self.file) or [(0, self.file)]
        base, file = next((s for s in reversed(self._segments) if s[0] <= position), self._segments[0])
        self._open = base, os.open(file, os.O_RDONLY)
        return self._open


def own(file: Path, number: int = 0) -> Path:
    """The spool that this process has beside another's `file`: of the same run, but a file of its own."""
    return file.with_name(f"{file.stem}.{os.getpid()}{f'-{number}' if number else ''}.jsonl")


def spools(folder: Path) -> list[Path]:
    """The spools in a folder, each by the name of its first segment, which may be gone."""
    return sorted({file.with_name(f"{file.stem.partition('@')[0]}.jsonl") for file in folder.glob("*.jsonl")})


def segments(file: Path) -> list[tuple[int, Path]]:
    """The segments of a spool that are there, in order, each with the position of its first byte."""
    later = ((segment.stem.rpartition("@")[2], segment) for segment in file.parent.glob(f"{file.stem}@*.jsonl"))
    found = [(int(base), segment) for base, segment in later if base.isdigit()]
    return sorted([(0, file), *found] if file.exists() else found)


def set_aside(file: Path, lines: list[bytes], reason: str) -> Path:
    """Keeps lines of `file` that the server refused, and returns where."""
    kept = file.with_suffix(".refused")
    with kept.open("ab") as refused:
        refused.write(b"# " + reason.encode() + b"\n" + b"".join(line + b"\n" for line in lines))
    return kept


def _segment(file: Path, base: int) -> Path:
    return file.with_name(f"{file.stem}@{base}.jsonl") if base else file


def _open_newest(file: Path) -> tuple[int, int, Path] | None:
    """The newest segment, for us alone: its first byte, itself, and the spool's name. None: somebody else has it."""
    while True:
        newest = (segments(file) or [(0, file)])[-1]
        fd = os.open(newest[1], APPENDING, 0o644)
        if not _lock(fd):
            os.close(fd)
            return None
        if segments(file)[-1] == newest:
            return newest[0], fd, file
        os.close(fd)  # whoever had it has just begun another


def _write_whole(fd: int, line: bytes) -> None:
    if os.write(fd, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lock(fd: int) -> bool:
    """False while another process has the lock; it ends with that process, however that ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system that knows no locks, as on some clusters: then nobody there may resume a run that runs
    return True
