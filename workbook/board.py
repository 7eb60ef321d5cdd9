"""The board: every exercise in the order of the days, how it stands, what is left of the core, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .check import SYMBOL, State
from .progress import Standing, standing
from .source import Exercise, Source

DAYS = {
    "d0": "Warm-up",
    "d1": "Day 1 · Python, backend, data",
    "d2": "Day 2 · React, dashboards, security",
    "d3": "Day 3 · Kubernetes, CI/CD, Linux, HPC, ML",
    "d4": "Day 4 · review and mock interview",
}


@dataclass(frozen=True)
class Row:
    """An exercise and how it stands."""

    exercise: Exercise
    standing: Standing

    def line(self, width: int) -> str:
        """As it is printed; `width` is that of the longest title."""
        exercise, now = self.exercise, self.standing
        so_far = f"{now.tries} {'try' if now.tries == 1 else 'tries'}" if now.tries else ""
        so_far += f", {now.minutes} min" if now.minutes else ""
        planned = f"{exercise.minutes} min" + (" extra" if exercise.weight == "extra" else "")
        parts = [
            SYMBOL[now.state],
            exercise.id,
            f"{exercise.title:{width}}",
            f"{planned:12}",
            f"{'filled in' if now.filled else now.state:13}",
            so_far,
        ]
        return " ".join(parts).rstrip()


def rows(books: Sequence[Source]) -> list[Row]:
    """Every exercise of these sources."""
    return [Row(exercise, standing(exercise)) for book in books for exercise in book.exercises.values()]


def board(found: Sequence[Row]) -> Iterator[tuple[str, State | None]]:
    """Its lines, each with the state that it shows."""
    width = max(len(row.exercise.title) for row in found)
    day = ""
    for row in found:
        if not row.exercise.id.startswith(f"{day}."):
            day = row.exercise.id.partition(".")[0]
            yield DAYS[day], None
        yield f"  {row.line(width)}", row.standing.state
    core = [row for row in found if row.exercise.weight == "core"]
    open_core = [row for row in core if not row.standing.done]
    left = sum(row.exercise.minutes for row in open_core)
    yield f"{len(core) - len(open_core)} of {len(core)} core exercises done, {left} minutes of them left", None
    yield next_step(found), None


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
