"""A plan for the hours that somebody has: which parts of which blocks, and what does not fit.

A part is a lesson, an exercise or a spoken question. The core of all days comes before any extra, and of the core the
days in their order. Within a day the block that somebody knows least gets its time first: it counts only where the time
ends in the middle of a day, for the plan is shown, and worked through, in the order in which blocks build on each
other. What is solved costs nothing, and neither does a lesson once the core exercises of its block are solved. A block
that is not written yet is in no plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..board import DAYS
from ..plan import PLAN, SPOKEN, Planned
from ..source import Lesson, Source
from .questions import questions_of

LESSON = 20  # minutes of a lesson that does not say its own
LEAST = 5  # minutes that are worth a drill


@dataclass(frozen=True)
class Part:
    """Something to do in one go."""

    block: str  # d1.b3
    title: str  # of the block
    name: str  # d1.b3.e1 or d1.b3.q1; a lesson has its block's
    text: str  # what to open, solve or type
    minutes: int
    core: bool


@dataclass(frozen=True)
class Schedule:
    """What fits and what does not, both in the order of the days."""

    fits: list[Part]
    left_out: list[Part]


def schedule(parts: Sequence[Part], minutes: float, known: Mapping[str, float]) -> Schedule:
    """The parts that fit; `known` is how much of each block somebody knows, 0 to 1."""
    urgent = sorted(parts, key=lambda part: (not part.core, _day(part), known.get(part.block, 0)))
    fits: set[str] = set()
    unread: set[str] = set()  # blocks whose lesson does not fit: their exercises would be riddles
    core_left_out = False
    for part in urgent:
        if part.minutes <= minutes and part.block not in unread and (part.core or not core_left_out):
            fits.add(part.name)
            minutes -= part.minutes
        else:
            core_left_out |= part.core
            unread |= {part.block} & {part.name}
    return Schedule([part for part in parts if part.name in fits], [part for part in parts if part.name not in fits])


def open_parts(books: Iterable[Source], lessons: Iterable[Lesson], done: Collection[str]) -> Iterator[Part]:
    """What is left of the blocks that are written; `done` are exercises and questions. Raises SourceError."""
    by_folder = {lesson.path.parent: lesson for lesson in lessons}
    for block, book in _written(books).items():
        title = book.title.removesuffix(": exercises")
        exercises = [exercise for exercise in book.exercises.values() if exercise.id not in done]
        lesson = by_folder.get(book.path.parent)
        parts = [
            Part(block, title, one.id, f"{one.id} · {one.title}", one.minutes, one.weight == "core")
            for one in exercises
        ]
        parts += [
            Part(block, title, question.id, f"workbook say {question.id}", SPOKEN, question.core)
            for question in questions_of(book)
            if question.id not in done
        ]
        if lesson and any(exercise.weight == "core" for exercise in exercises):
            yield Part(block, title, block, f"read {lesson.notebook}", lesson.minutes or LESSON, core=True)
        yield from sorted(parts, key=lambda part: not part.core)


def unwritten(books: Iterable[Source]) -> list[str]:
    """The blocks of the study plan that have no exercises yet: "1.1 python warmup"."""
    there = _written(books)
    return [_name(block, planned) for block, planned in PLAN.items() if block not in there]


def lines(found: Schedule, minutes: float, missing: Sequence[str]) -> Iterator[str]:
    """The plan as it is printed."""
    day = title = ""
    for part in found.fits:
        if day != _day(part):
            day = _day(part)
            yield DAYS[day]
        if title != part.title:
            title = part.title
            yield f"  {title}"
        yield f"  {part.minutes:>5} min  {part.text}{'' if part.core else ' (extra)'}"
    taken = sum(part.minutes for part in found.fits)
    yield f"{spelled(taken)} of your {spelled(minutes)} are planned."
    if taken == 0 and not found.left_out:
        yield "All that is written is solved."
    for core, what in ((True, "Core"), (False, "Extra")):
        if left_out := [part for part in found.left_out if part.core == core]:
            yield f"{what} that does not fit: {_by_block(left_out)}."
    if missing:
        yield f"Not written yet, so in no plan: {', '.join(missing)}."
    if minutes - taken >= LEAST:
        yield f"For the other {spelled(minutes - taken)}: workbook drill, and workbook say."


def spelled(minutes: float) -> str:
    """90 is 1 h 30 min."""
    hours, rest = divmod(round(minutes), 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{rest} min"] if rest or not hours else [])])


def _by_block(parts: Iterable[Part]) -> str:
    blocks: dict[str, int] = {}
    for part in parts:
        blocks[part.title] = blocks.get(part.title, 0) + part.minutes
    return ", ".join(f"{title} ({spelled(minutes)})" for title, minutes in blocks.items())


def _written(books: Iterable[Source]) -> dict[str, Source]:
    folders = {book.path.parent.relative_to("workbook/blocks").as_posix(): book for book in books}
    return {block: folders[planned.path] for block, planned in PLAN.items() if planned.path in folders}


def _name(block: str, planned: Planned) -> str:
    words = planned.path.rpartition("/")[2].partition("-")[2].replace("-", " ")
    return f"{block[1:].replace('b', '')} {words}"


def _day(part: Part) -> str:
    return part.block.partition(".")[0]
