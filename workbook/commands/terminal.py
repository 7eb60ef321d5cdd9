"""What the commands ask of whoever types them, and how they answer."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap

from ..check import State
from ..source import Source, source_with, sources

COLOURS = {State.SOLVED: 32, State.SELF_SCORED: 34, State.WRONG: 31, State.NOT_ATTEMPTED: 90}


class Mistake(Exception):
    """Something that the user can mend; its text says how."""


def known(exercise: str) -> Source:
    """The source that holds this exercise. Raises Mistake."""
    source = source_with(exercise)
    if source is None:
        raise Mistake(f"there is no exercise {exercise!r}; {near(exercise)}")
    return source


def near(exercise: str) -> str:
    """What somebody may have meant: the exercises of its block, or where to look."""
    block = re.match(r"d\d\.b\d", exercise)
    there = [name for source in sources() for name in source.exercises if block and name.startswith(f"{block[0]}.")]
    return f"there are {', '.join(there)}" if there else "`workbook status` lists them all"


def number(text: str, what: str, least: float, most: float) -> float:
    """A number as it was typed, in its bounds. Raises Mistake."""
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise Mistake(f"{what} is a number from {least:g} to {most:g}, not {text!r}")
    return found


def width() -> int:
    """Of a line that fits and is still read easily, in characters."""
    return max(20, min(shutil.get_terminal_size().columns - 1, 100))


def warn(text: str) -> None:
    """Says what went wrong; in a terminal, in lines that end between words."""
    text = f"workbook: {text}"
    if sys.stderr.isatty():
        lines = [
            textwrap.fill(line, width(), break_on_hyphens=False, break_long_words=False) for line in text.split("\n")
        ]
        text = "\n".join(lines)
    print(text, file=sys.stderr)


def coloured(text: str, state: State) -> str:
    """In the colour of the state, where there are colours."""
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m" if sys.stdout.isatty() else text
