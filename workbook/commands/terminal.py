"""What the commands ask of whoever types them, and how they answer."""

from __future__ import annotations

import sys

from ..check import State
from ..source import Source, source_with, sources

COLOURS = {State.SOLVED: 32, State.SELF_SCORED: 34, State.WRONG: 31, State.NOT_ATTEMPTED: 90}


class Mistake(Exception):
    """Something that the user can mend; its text says how."""


def known(exercise: str) -> Source:
    """The source that holds this exercise. Raises Mistake."""
    source = source_with(exercise)
    if source is None:
        raise Mistake(f"there is no exercise {exercise!r}; the exercises are {all_exercises()}")
    return source


def all_exercises() -> str:
    """Their ids."""
    return ", ".join(exercise for source in sources() for exercise in source.exercises)


def number(text: str, what: str, least: float, most: float) -> float:
    """A number as it was typed, in its bounds. Raises Mistake."""
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise Mistake(f"{what} is a number from {least:g} to {most:g}, not {text!r}")
    return found


def warn(text: str) -> None:
    """Says what does not keep the command from going on."""
    print(f"workbook: {text}", file=sys.stderr)


def coloured(text: str, state: State) -> str:
    """In the colour of the state, where there are colours."""
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m" if sys.stdout.isatty() else text
