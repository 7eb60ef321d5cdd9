"""Scaffolds: what an author begins with, a block or one more exercise. Each place to fill says so: "TODO: what belongs
here". The texts are the files of `new`:

    lesson.md, section.md          a lesson, and each of its four sections
    questions.yaml, question.yaml  the bank, and each of its two questions
    asked.yaml                     what interviews ask, and where it is found
    exercises.md, exercise.md      a file of exercises, and what is the same in each of them
    python.md, sql.md, ...         what differs with the kind of the answer; "+++" parts the task with its stub and
                                   check, the other answers, and the solution

A scaffold keeps the whole contract but for its marks: notebooks can be built of it, its untouched answers end *not
attempted*, its solutions are solved. So whatever else the contract complains of, its author has just written.
"""

from __future__ import annotations

import re
import tempfile
from itertools import count
from pathlib import Path
from string import Template

from ..kinds import KINDS
from ..plan import PLAN, SPOKEN, Planned
from ..source import ROOT
from ..whole import write_whole
from .block import read_block
from .form import CORE, QUESTIONS

NEW = Path(__file__).parent / "new"
SECTIONS = 4
CORE_KINDS = ("python", "repair", "predict")  # of a block's three core exercises
MISTAKES = ("first-mistake", "second-mistake")  # the names of the wrong answers in `new`
LONG, SHORT = 20, 15  # minutes of a lesson; the short one where the plan has little time


class NotMade(Exception):
    """There is nothing to be made, and nothing was changed; the text says why, and what to do."""


def new_block(block: str, root: Path = ROOT) -> list[Path]:
    """Makes a block of the plan. The files, relative to the repository. Raises NotMade."""
    folder = _folder(block, root)
    if block == "d0.b0":
        raise NotMade("d0.b0 is the start notebook: it has no lesson, and is there already")
    if any(folder.glob("*")):
        raise NotMade(
            f"{block} is there already, in {folder.relative_to(root)}, and nothing in it was changed: "
            "`workbook author new exercise` adds an exercise to it"
        )
    files = _block(block, PLAN[block])
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=root / "workbook") as beside:
            made = Path(beside) / folder.name
            made.mkdir()
            for name, text in files.items():
                write_whole(made / name, text)
            folder.parent.mkdir(parents=True, exist_ok=True)
            made.rename(folder)
    except OSError as error:
        raise NotMade(f"{block} cannot be written: {error.strerror}. Nothing of it is there") from None
    return [(folder / name).relative_to(root) for name in files]


def new_exercise(exercise: str, language: str = "Python", *, extra: bool = False, root: Path = ROOT) -> Path:
    """Adds an exercise behind the last one of its block. The file, relative to the repository.

    Raises NotMade, and SourceError when the block cannot be read.
    """
    form = re.fullmatch(r"(d\d\.b\d)\.e[1-9]\d*", exercise)
    if not form:
        raise NotMade(f"an exercise's id has the form d1.b3.e6 (day 1, block 3, exercise 6), not {exercise!r}")
    kind = next((kind for kind in KINDS if kind.lower() == language.lower()), None)
    if kind is None:
        raise NotMade(f"no check takes answers in {language!r}: say one of {', '.join(KINDS)}")
    block = form[1]
    file = _folder(block, root) / "exercises.md"
    if not file.exists():
        raise NotMade(f"{block} is not written yet: first `workbook author new block {block}`")
    exercises = read_block(file.parent, root).source.exercises
    free = next(name for number in count(1) if (name := f"{block}.e{number}") not in exercises)
    if exercise in exercises:
        raise NotMade(f"{exercise} is there already: the next free id is {free}")
    if exercise != free:
        raise NotMade(f"{block} has {len(exercises)} exercises: the next one is {free}, not {exercise}")
    before, after = _around(file.read_text())
    text = _exercise(exercise, kind.lower(), CORE, "extra" if extra else "core")
    try:
        write_whole(file, "\n\n+++\n\n".join(part for part in (before, text, after) if part) + "\n")
    except OSError as error:
        raise NotMade(f"{file.relative_to(root)} cannot be written: {error.strerror}. It is as it was") from None
    return file.relative_to(root)


def _folder(block: str, root: Path) -> Path:
    if block not in PLAN:
        missing = [name for name in PLAN if not (root / "workbook/blocks" / PLAN[name].path).exists()]
        raise NotMade(f"the study plan has no block {block!r}; not written yet are {', '.join(missing) or 'none'}")
    return root / "workbook/blocks" / PLAN[block].path


def _block(block: str, planned: Planned) -> dict[str, str]:
    """The text of each file, with minutes that fit the plan."""
    left = planned.minutes[1] - QUESTIONS * SPOKEN
    lesson = LONG if left >= LONG + len(CORE_KINDS) * CORE else SHORT
    core = min(CORE, (left - lesson) // len(CORE_KINDS))
    day, position = re.findall(r"\d+", block)
    values = {
        "number": f"{day}.{position}",
        "day": day,
        "position": position,
        "name": re.sub(r"^\d+ ", "", Path(planned.path).name.replace("-", " ")),
        "path": planned.path,
        "minutes": lesson,
    }
    sections = [_filled("section.md", section=number) for number in range(1, SECTIONS + 1)]
    exercises = [_exercise(f"{block}.e{n}", kind, core, "core") for n, kind in enumerate(CORE_KINDS, 1)]
    probed = ((1, 2), (3,))  # the exercises that each question probes
    questions = [
        _filled("question.yaml", question=f"{block}.q{n}", probes="\n".join(_probe(f"{block}.e{e}") for e in those))
        for n, those in enumerate(probed, 1)
    ]
    return {
        "lesson.md": _filled("lesson.md", **values, sections="\n\n+++\n\n".join(sections)) + "\n",
        "exercises.md": _filled("exercises.md", **values, exercises="\n\n+++\n\n".join(exercises)) + "\n",
        "questions.yaml": _filled("questions.yaml", **values, questions="\n\n".join(questions)) + "\n",
        "asked.yaml": _filled("asked.yaml", **values) + "\n",
    }


def _exercise(exercise: str, kind: str, minutes: int, weight: str) -> str:
    own = _filled(f"{kind}.md", exercise=exercise, n=exercise.partition("e")[2], minutes=minutes, weight=weight)
    task, others, solution = (part.strip() for part in re.split(r"^\+\+\+$", own, flags=re.MULTILINE))
    text = _filled("exercise.md", exercise=exercise, task=task, others=others, solution=solution)
    return re.sub(r"\n{3,}", "\n\n", text)  # a kind without other answers


def _probe(exercise: str) -> str:
    asked = (f'      {name}: "TODO: what to ask whoever gave {exercise} {name}"' for name in MISTAKES)
    return "\n".join([f"    {exercise}:", *asked])


def _filled(file: str, /, **values: object) -> str:
    return Template((NEW / file).read_text()).substitute(values).strip()


def _around(text: str) -> tuple[str, str]:
    """A file of exercises up to where its last exercise ends, and what stands after it: a heading of the same rank."""
    hidden = re.sub(r"^```.*?^```$", lambda code: re.sub(r"\S", " ", code[0]), text, flags=re.MULTILINE | re.DOTALL)
    headings = list(re.finditer(r"^## (d\d\.b\d\.e\d+ · )?", hidden, flags=re.MULTILINE))
    last = max((number for number, heading in enumerate(headings) if heading[1]), default=len(headings) - 1)
    end = headings[last + 1].start() if last + 1 < len(headings) else len(text)
    return text[:end].rstrip().removesuffix("+++").rstrip(), text[end:].strip()
