"""A block: one folder of `workbook/blocks` with a lesson, its exercises and its questions. The start notebook is one,
too: it has an exercise, and neither lesson nor questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..source import ROOT, Exercise, Lesson, Source, read, read_lesson

FILES = {"lesson.md", "exercises.md", "questions.yaml", "asked.yaml"}


@dataclass(frozen=True, eq=False)
class Block:
    """What is in the folder, but for the questions: `questions.questions_of(block.source)` may refuse them."""

    id: str  # d1.b3; d0.b0 is the start notebook
    folder: Path
    root: Path  # the repository that it is in
    source: Source
    lesson: Lesson | None

    @property
    def exercises(self) -> list[Exercise]:
        """In the order of the file."""
        return list(self.source.exercises.values())


def blocks(root: Path = ROOT) -> tuple[Block, ...]:
    """Every block, in the order of the days. Raises SourceError."""
    folders = {file.parent for file in (root / "workbook" / "blocks").glob("**/exercises.md")}
    return tuple(sorted((read_block(folder, root) for folder in folders), key=lambda block: block.id))


def read_block(folder: Path, root: Path = ROOT) -> Block:
    """The block in this folder. Raises SourceError."""
    named = re.search(r"day(\d)-[^/]*/(\d+)-[^/]*$", folder.as_posix())
    lesson = folder / "lesson.md"
    return Block(
        id=f"d{named[1]}.b{int(named[2])}" if named else "d0.b0",
        folder=folder,
        root=root,
        source=read(folder / "exercises.md", root),
        lesson=read_lesson(lesson, root) if lesson.exists() else None,
    )
