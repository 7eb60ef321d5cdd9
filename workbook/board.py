"""The board: every exercise in the order of the days, how it stands, what is left of the core, and what comes next.

It is lines of text in a terminal, and a table in a notebook: `status()`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from .bank.markup import html_line
from .check import COLOUR, SYMBOL, State
from .progress import Standing, standing
from .source import Exercise, Source, sources

DAYS = {
    "d0": "Warm-up",
    "d1": "Day 1 · Python, backend, data",
    "d2": "Day 2 · React, dashboards, security",
    "d3": "Day 3 · Kubernetes, CI/CD, Linux, HPC, ML",
    "d4": "Day 4 · review and mock interview",
}
LEFT = 'style="text-align: left"'  # JupyterLab's tables are made for numbers


@dataclass(frozen=True)
class Row:
    """An exercise and how it stands."""

    exercise: Exercise
    standing: Standing

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """What is said of it: symbol, id, title, minutes, state, and the work so far."""
        exercise, now = self.exercise, self.standing
        so_far = f"{now.tries} {'try' if now.tries == 1 else 'tries'}" if now.tries else ""
        so_far += f", {now.minutes} min" if now.minutes else ""
        planned = f"{exercise.minutes} min" + (" extra" if exercise.weight == "extra" else "")
        stands = "filled in" if now.filled else str(now.state)
        return SYMBOL[now.state], exercise.id, exercise.title, planned, stands, so_far

    def line(self, width: int) -> str:
        """As it is printed; `width` is that of the longest title."""
        symbol, name, title, planned, state, so_far = self.cells()
        return f"{symbol} {name} {title:{width}} {planned:12} {state:13} {so_far}".rstrip()

    def html(self) -> str:
        """As a row of a table."""
        symbol, *texts = (html.escape(text) for text in self.cells())
        mark = f'<b style="color: {COLOUR[self.standing.state]}">{symbol}</b>'
        return "<tr>" + "".join(f"<td {LEFT}>{text}</td>" for text in (mark, *texts)) + "</tr>"


@dataclass(frozen=True)
class Board:
    """All rows, for a notebook."""

    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        return "\n".join(line for line, _ in board(self.rows))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        table = ""
        for day, its in _by_day(self.rows):
            table += f'<tr><th colspan="6" {LEFT}>{html.escape(day)}</th></tr>' + "".join(row.html() for row in its)
        below = "".join(f"<div>{html_line(line)}</div>" for line in _summary(self.rows))
        return {"text/plain": repr(self), "text/html": f"<table>{table}</table>{below}"}


def status() -> Board:
    """How far the candidate is; in a notebook, the last line of a cell."""
    return Board(tuple(rows(sources())))


def rows(books: Sequence[Source]) -> list[Row]:
    """Every exercise of these sources."""
    return [Row(exercise, standing(exercise)) for book in books for exercise in book.exercises.values()]


def board(found: Sequence[Row]) -> Iterator[tuple[str, State | None]]:
    """Its lines, each with the state that it shows."""
    width = max(len(row.exercise.title) for row in found)
    for day, its in _by_day(found):
        yield day, None
        for row in its:
            yield f"  {row.line(width)}", row.standing.state
    for line in _summary(found):
        yield line, None


def _by_day(found: Sequence[Row]) -> Iterator[tuple[str, Iterator[Row]]]:
    for day, its in groupby(found, lambda row: row.exercise.id.partition(".")[0]):
        yield DAYS[day], its


def _summary(found: Sequence[Row]) -> tuple[str, str]:
    core = [row for row in found if row.exercise.weight == "core"]
    open_core = [row for row in core if not row.standing.done]
    left = sum(row.exercise.minutes for row in open_core)
    done = f"{len(core) - len(open_core)} of {len(core)} core exercises done, {left} minutes of them left"
    return done, next_step(found)


def next_step(found: Sequence[Row]) -> str:
    """What to do now: first mend what is wrong, then the core in its order, then the extras."""
    for weight in ("core", "extra"):
        for state in (State.WRONG, State.NOT_ATTEMPTED):
            for row in found:
                if (row.exercise.weight, row.standing.state) == (weight, state) and not row.standing.filled:
                    name = row.exercise.id
                    if state is State.WRONG:
                        return f"Next: {name} is wrong. `workbook check {name}` says why, `workbook hint {name}` helps"
                    return f"Next: {name} · {row.exercise.title}, {row.exercise.minutes} minutes"
    return "All is done"
