"""The kinds of answers: what a candidate writes, and what a check does with it.

    kind     the answer is           a check uses
    Python   functions and values    them, as they are
    SQL      a text                  rows = sql(db, TEXT, key="loss")
    YAML     a text                  documents = yaml(TEXT)
    shell    a text                  done = shell(TEXT)
    file     the path of a file      text = file(PATH)
    text     prose                   prose(TEXT, points, made=MADE)

A kind is named in the header of its exercise: "implement (SQL, gaps to fill)". All of them tell the check around them
the same way how it stands. NotImplementedError: nothing is written yet. AssertionError: what is wrong, in one line.
`SelfScored`: no program can tell, so here is what a good answer has, and the candidate counts.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .source import ROOT

# An answer that takes longer is ended before its reader doubts the computer. Who sits at a very slow one can say more.
LIMIT = "WORKBOOK_SECONDS"
SECONDS = float(os.environ.get(LIMIT, "20"))
ROWS = 100_000  # that a query may find
CHARACTERS = 1_000_000  # of a file
WORDS = 20  # that a prose answer has at least, before it may be compared
TICK = 100  # instructions of SQLite, the unit of `sql_work`
ENDLESS = "does it ever end?"


@dataclass(frozen=True)
class Kind:
    """What the checks and the contract know of a kind."""

    name: str
    comment: str  # what begins one
    graded: bool = True  # a program can tell right from wrong
    endless: str | None = None  # an answer that never ends; None where nothing is run


KINDS = {
    kind.name: kind
    for kind in (
        Kind("Python", "#", endless="while True: pass"),
        Kind(
            "SQL", "--", endless="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        ),
        Kind("YAML", "#"),
        Kind("shell", "#", endless="while :; do :; done"),
        Kind("file", "#"),
        Kind("text", "#", graded=False),
    )
}


class SelfScored(Exception):
    """An answer that its author compares with the points of a good one; the text is for them."""


@dataclass(frozen=True)
class Done:
    """What a script came to: its exit code and what it printed."""

    code: int
    out: str
    err: str


def written(text: str, kind: str) -> str:
    """The text, once there is more in it than comments."""
    assert isinstance(text, str), f"the answer is no text: {text!r:.60}"
    comment = KINDS[kind].comment
    if not re.sub(rf"{re.escape(comment)}.*", "", text).strip():
        raise NotImplementedError
    return text


def filled(text: str, gaps: int) -> str:
    """The text, once none of its `gaps` is open: a gap is "____"."""
    lines = [line.strip() for line in text.splitlines() if "____" in line]
    if text.count("____") >= gaps:
        raise NotImplementedError
    assert not lines, f"a gap is still open: {lines[0]}"
    return text


def sql(db: sqlite3.Connection, text: str, /, **values: Any) -> list[tuple[Any, ...]]:
    """The rows that a query finds. `:key` in it is filled in from key="loss"."""
    return _query(db, text, values)[0]


def sql_work(db: sqlite3.Connection, text: str, /, **values: Any) -> int:
    """What a query costs, in hundreds of SQLite's instructions: unlike seconds, nothing else disturbs them."""
    return _query(db, text, values)[1]


def sql_script(db: sqlite3.Connection, text: str) -> None:
    """Runs statements that find nothing, such as those that make tables."""
    with _Watched(db, text):
        db.executescript(text)


def _query(db: sqlite3.Connection, text: str, values: dict[str, Any]) -> tuple[list[tuple[Any, ...]], int]:
    with _Watched(db, text) as watched:
        rows = db.execute(text, values).fetchmany(ROWS + 1)
    assert len(rows) <= ROWS, f"it finds more than {ROWS:,} rows: {ENDLESS}"
    return rows, watched.ticks + 1


class _Watched:
    """Counts SQLite's work, ends what takes too long, and says in a line what is wrong with a statement.

    SQLite is not Python: while it works no signal is heard, and Jupyter's stop button neither. But it calls back.
    """

    def __init__(self, db: sqlite3.Connection, text: str) -> None:
        self._db = db
        self.ticks = 0
        written(text, "SQL")

    def __enter__(self) -> _Watched:
        self._began = time.monotonic()
        self._db.set_progress_handler(self._tick, TICK)
        return self

    def _tick(self) -> bool:
        self.ticks += 1
        return time.monotonic() - self._began > SECONDS / 2

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._db.set_progress_handler(None, 0)
        if isinstance(error, sqlite3.OperationalError) and str(error) == "interrupted":
            seconds = round(time.monotonic() - self._began, 1)
            raise AssertionError(f"SQLite was still at it after {seconds:g} seconds: {ENDLESS}") from None
        if not isinstance(error, sqlite3.Error | sqlite3.Warning):
            return
        raise AssertionError(f"SQLite does not take this: {error}") from None


def yaml(text: str) -> list[Any]:
    """The documents of a YAML text, in which no name may stand twice."""
    from yaml import YAMLError, load_all

    from .strict import StrictLoader

    try:
        return list(load_all(written(text, "YAML"), StrictLoader))
    except YAMLError as error:
        raise AssertionError(f"this is not YAML: {' '.join(str(error).split())}") from None


def shell(text: str, folder: Path | None = None, /, **environment: str) -> Done:
    """Runs a script with bash, in this folder or in an empty one that is gone afterwards."""
    written(text, "shell")
    bash = shutil.which("bash")
    assert bash, "bash was not found on this computer"
    with (
        tempfile.TemporaryDirectory() as empty,
        subprocess.Popen(
            [bash, "-c", text],
            cwd=folder or empty,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as script,
    ):
        try:
            out, err = script.communicate(timeout=SECONDS / 2)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"bash was still at it after {SECONDS / 2:g} seconds: {ENDLESS}") from None
        finally:
            with suppress(ProcessLookupError):  # also what it left running in the background
                os.killpg(script.pid, signal.SIGKILL)
    return Done(script.returncode, out, err)


def file(path: str) -> str:
    """The text of a file in this checkout, once it is there."""
    found = ROOT / path
    if not found.exists():
        raise NotImplementedError
    assert found.is_file(), f"{path} is no file"
    assert found.stat().st_size <= CHARACTERS, f"{path} is larger than {CHARACTERS:,} bytes"
    try:
        return found.read_text()
    except UnicodeDecodeError:
        raise AssertionError(f"{path} is no text") from None


def prose(text: str, points: Sequence[str], made: str) -> None:
    """Shows the points of a good answer to whoever has written one, and takes down which of them they `made`: "1 3"."""
    words = len(text.split())
    if not words:
        raise NotImplementedError
    assert words >= WORDS, f"{words} words: say it in at least {WORDS}, then compare"
    listed = "\n".join(f"{number}. {point}" for number, point in enumerate(points, 1))
    if not made.strip():
        raise SelfScored(f"compare, and write down the numbers of the points that you made\n{listed}")
    numbers = set(re.findall(r"\d+", made))
    unknown = numbers - {str(number) for number in range(1, len(points) + 1)}
    assert not unknown, f"there is no point {', '.join(sorted(unknown))}, only 1 to {len(points)}"
    raise SelfScored(f"{len(numbers)} of {len(points)} points\n{listed}")
