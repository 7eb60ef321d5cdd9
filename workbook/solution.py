"""The solution of an exercise as text for a terminal: how it differs from the answer in the notebook, and why."""

from __future__ import annotations

import difflib
import re

from .bank.markup import terminal_text
from .judge import Answer, NotJudged, answers, find, load
from .source import Exercise, Source
from .tries import tries


def solution(source: Source, name: str, *, anyway: bool = False, width: int = 100) -> str | None:
    """All that there is to read, `width` characters wide; None for somebody who has not tried, unless `anyway`."""
    exercise = source.exercises[name]
    mine = _mine(source, exercise)
    if mine is None and not anyway:
        return None
    parts = [f"{name} · {exercise.title}"]
    if mine is not None:
        parts += ["From your answer (-) to the solution (+):", difference(mine, exercise.solution)]
    else:
        parts += [exercise.solution]
    parts += [
        terminal_text(_open(text), width) for text in source.explained[name] if not text.startswith("### Solution")
    ]
    return "\n\n".join(parts)


def difference(mine: str, solution: str) -> str:
    """Line by line, with the lines around for the place."""
    lines = difflib.unified_diff(mine.splitlines(), solution.splitlines(), lineterm="", n=3)
    return "\n".join(line for line in list(lines)[2:] if not line.startswith("@@")) or "(the same)"


def _mine(source: Source, exercise: Exercise) -> str | None:
    """What stands in the notebook, or was tried last; None if nothing was ever written."""
    try:
        given = answers(load(find(source))).get(exercise.id, Answer())
    except NotJudged:
        given = Answer()
    mine = "\n".join(text for text, is_answer in given.cells if is_answer)
    if mine.strip() and mine.strip() != exercise.stub.strip():
        return mine
    tried = tries(exercise.id)
    return tried[-1].answer if tried else None


def _open(text: str) -> str:
    """Folds opened: a terminal has none."""
    text = re.sub(r"<details><summary>(.*?)</summary>", r"\1:", text)
    return text.replace("</details>", "").strip()
