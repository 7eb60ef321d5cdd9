"""How far a candidate is. What was judged is told by their tries; this is about what they have looked at:

    <checkout>/.workbook/progress.json
    {"version": 2, "hints": {"d1.b3.e3": 2}, "solutions": {"d1.b3.e3": 1764000000000},
     "asked": {"d1.b3.q1": [{"at": 1764000000000, "bet": 3, "made": 4, "of": 5}]}}

`hints`: how many hints of an exercise were shown. `solutions`: when its solution first was, in ms since 1970 (UTC).
`asked`: of each question and card, every time that it was answered. Version 1 had no `asked`.
It is changed under a lock and written as a whole, so two commands at once lose nothing. One that cannot be read is put
beside, and one of a newer version is left alone.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from .check import State
from .source import ROOT, Exercise
from .tries import Try, own, tries
from .whole import unused, write_whole

FILE = Path(".workbook/progress.json")
VERSION = 2
PAUSE = 15 * 60 * 1000  # ms: who does not try for longer is doing something else
Say = Callable[[str], object]


class NotKept(Exception):
    """It could not be written down; the text says why. Nothing that was there is lost."""


@dataclass(frozen=True)
class Asked:
    """A question that was answered once, and how its author scored it.

    at: ms since 1970 (UTC). bet: 1 (a guess) to 4 (certain), given before the answer was seen.
    made, of: the points of a good answer that were made, and how many there are; a card has one.
    """

    at: int
    bet: int
    made: int
    of: int

    @property
    def right(self) -> bool:
        """At least three quarters of the points: who speaks freely forgets one of five, and is still believed."""
        return 4 * self.made >= 3 * self.of

    @property
    def sure(self) -> bool:
        """Whoever bets 3 or 4 would say it in the interview without hesitating."""
        return self.bet >= 3


@dataclass
class Progress:
    """What a candidate has looked at, by exercise, and answered, by question and card."""

    hints: dict[str, int] = field(default_factory=dict)
    solutions: dict[str, int] = field(default_factory=dict)
    asked: dict[str, list[Asked]] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """How an exercise stands: the verdict on the newest try, and the work so far."""

    state: State
    tries: int
    minutes: int  # between tries, without the pauses
    filled: bool = False  # its solution was filled in, and nothing else has been tried since

    @property
    def done(self) -> bool:
        """There is nothing left to do."""
        return self.state.done or self.filled


def standing(exercise: Exercise, root: Path = ROOT) -> Standing:
    """As its tries tell it. One that was put away begins anew."""
    found = tries(exercise.id, root)
    state = State.NOT_ATTEMPTED
    filled = bool(found) and found[-1] not in own(found)
    if found and found[-1].state in set(State) and not filled:
        state = State(found[-1].state)
    return Standing(state, sum(one.state in set(State) for one in own(found)), minutes(found), filled)


def minutes(found: list[Try]) -> int:
    """From try to try, rounded; a pause counts for nothing."""
    times = [one.at for one in found]
    between = [later - earlier for earlier, later in pairwise(times)]
    return round(sum(gap for gap in between if 0 < gap <= PAUSE) / 60_000)


def read(root: Path = ROOT, say: Say = print) -> Progress:
    """What was kept. Raises NotKept for a file of a newer version."""
    file = root / FILE
    try:
        text = file.read_text()
    except FileNotFoundError:
        return Progress()
    except (OSError, UnicodeDecodeError) as error:
        raise NotKept(f"{FILE} cannot be read: {error}") from None
    try:
        return _progress(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError):
        beside = unused(file.with_name("progress-unreadable.json"))
        try:
            file.replace(beside)
        except OSError as error:
            raise NotKept(f"{FILE} could not be read, and not be put beside: {error.strerror}") from None
        say(f"{FILE} could not be read. It is {beside.name} now, and a new one is begun; your tries are untouched")
        return Progress()


def change(how: Callable[[Progress], object], root: Path = ROOT, say: Say = print) -> Progress:
    """What is kept from now on. Raises NotKept."""
    file = root / FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _locked(file.with_suffix(".lock")):
            progress = read(root, say)
            how(progress)
            write_whole(file, json.dumps({"version": VERSION} | asdict(progress), indent=1) + "\n")
    except OSError as error:
        raise NotKept(
            f"{FILE} cannot be written: {error.strerror}. What you have looked at is not remembered"
        ) from None
    return progress


def _progress(kept: dict[str, Any]) -> Progress:
    if int(kept["version"]) > VERSION:
        raise NotKept(f"{FILE} is of a newer workbook than this: `workbook update` brings it")
    hints = {str(exercise): int(shown) for exercise, shown in kept["hints"].items()}
    solutions = {str(exercise): int(at) for exercise, at in kept["solutions"].items()}
    asked = {
        str(question): [Asked(*(int(one[name]) for name in ("at", "bet", "made", "of"))) for one in times]
        for question, times in kept.get("asked", {}).items()
    }
    return Progress(hints, solutions, asked)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
