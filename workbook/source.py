"""The sources of the workbook: MyST Markdown files under `workbook/blocks`, a lesson and a file of exercises per block.

    blocks/start/exercises.md
    blocks/day1-python-backend-db/03-database-schema/lesson.md
    blocks/day1-python-backend-db/03-database-schema/exercises.md

A lesson is text and code. A code cell whose output cannot be the same twice says `:tags: [live]`.

A file of exercises is a title and an introduction, then one part per exercise:

    ## d1.b3.e3 · Where does each run stand?                    its id: day 1, block 3, exercise 3
    *12 minutes · core · implement (SQL) · needs nothing but Python*
    text and code cells                                         in the order in which the notebook shows them
    <details><summary>Hint 1: ...</summary> ... </details>
    ### Solution                                                from here on, only the solution notebook shows it

The role of a code cell is its option `:role:`.

    setup       support code; also of the notebook as a whole, before the first exercise
    answer      what the candidate begins with: the stub
    check       the `with check("d1.b3.e3"):` block
    scratch     for trying things out: only in the exercise notebook, and never judged
    wrong       a plausible wrong answer, with its `:name:` and what it must be told (`:says:`); in no notebook
    right       another right answer, with its `:name:`; in no notebook
    solution    the reference answer; or an empty cell, whose `:piece: tracker.values:parse_value` names the code of the
                tracker that is the answer, and `:tests:` the tracker's tests that hold it
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .myst import cells
from .pieces.piece import NoPiece
from .pieces.piece import text as piece_text

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = Path(__file__).resolve().parent / "blocks"

ID = r"d\d\.b\d\.e\d+"
_HEADING = re.compile(rf"## ({ID}) · (.+)")
_HEADER = re.compile(r"\*(\d+) minutes · (core|extra) · (.+?) · needs (.+?)\*")

_LESSON = re.compile(r"^\*Day \d, block \d · lesson, (\d\d) minutes · needs .+\*$", re.MULTILINE)
_HINT = re.compile(r"<details><summary>Hint \d+: ([^<]*)</summary>\n(.*?)</details>", re.DOTALL)


class SourceError(Exception):
    """A source that does not keep to the form; the text says where and what to write."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook. `exercise` is None for what belongs to the notebook as a whole."""

    role: str  # text; of exercises: setup, answer, check or scratch; of a question: ask; of a lesson: code
    source: str
    exercise: str | None = None
    tags: tuple[str, ...] = ()
    shows: Mapping[str, str] | None = None  # what stands below it before anybody runs it, by MIME type


@dataclass(frozen=True)
class Variant:
    """An answer that somebody might give. A wrong one is told `says`; a right one has none."""

    name: str
    source: str
    says: str | None = None


@dataclass
class Exercise:
    """One task, and everything that is known about it."""

    id: str
    title: str
    minutes: int
    weight: str  # core or extra
    kind: str
    needs: str
    stub: str = ""
    solution: str = ""
    piece: str | None = None  # the tracker's own code that is the solution
    tests: str = ""  # the tracker's tests that hold this piece: a path and options for pytest
    variants: list[Variant] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """What an answer defines: by this a cell is known as one."""
        return defined(self.stub) | defined(self.solution)

    @property
    def language(self) -> str:
        """The kind of its answer, as `kinds` names it: "implement (SQL, gaps to fill)" is SQL."""
        found = re.search(r"\((\w+)", self.kind)
        return found[1] if found else ""


@dataclass
class Source:
    """One file of exercises. `cells` is the exercise notebook, `explained` what the solution adds to each exercise."""

    root: Path  # the repository
    path: Path  # relative to it
    title: str
    cells: list[Cell] = field(default_factory=list)
    explained: dict[str, list[str]] = field(default_factory=dict)
    exercises: dict[str, Exercise] = field(default_factory=dict)

    def hints(self, exercise: str) -> list[Hint]:
        """Of an exercise, from the first to the last."""
        text = "\n".join(cell.source for cell in self.cells if (cell.role, cell.exercise) == ("text", exercise))
        return [Hint(title, body.strip()) for title, body in _HINT.findall(text)]

    @property
    def notebooks(self) -> tuple[Path, Path]:
        """The exercise notebook and the solution notebook, relative to the repository."""
        block = self.path.parent.relative_to("workbook/blocks")
        if block == Path("start"):
            return Path("notebooks/start.ipynb"), Path("solutions/start-solutions.ipynb")
        return (
            Path(f"exercises/{block}-exercises.ipynb"),
            Path(f"solutions/{block}-solutions.ipynb"),
        )


@dataclass(frozen=True)
class Hint:
    """One step of help: where it helps, and how."""

    title: str
    text: str


@dataclass(frozen=True)
class Lesson:
    """One lesson."""

    path: Path  # relative to the repository
    title: str
    cells: tuple[Cell, ...]

    @property
    def notebook(self) -> Path:
        """Relative to the repository."""
        return Path(f"notebooks/{self.path.parent.relative_to('workbook/blocks')}.ipynb")

    @property
    def minutes(self) -> int | None:
        """As it says below its title; None if it does not."""
        found = _LESSON.search("\n".join(cell.source for cell in self.cells[:2]))
        return int(found[1]) if found else None


@cache
def lessons() -> tuple[Lesson, ...]:
    """Every lesson, in the order of the days. Raises SourceError."""
    return tuple(read_lesson(file) for file in sorted(BLOCKS.glob("**/lesson.md")))


@cache
def sources() -> tuple[Source, ...]:
    """Every file of exercises, in the order of the days. Raises SourceError."""
    files = sorted(BLOCKS.glob("**/exercises.md"), key=lambda file: (file.parent.name != "start", file))
    return tuple(read(file) for file in files)


def source_with(exercise: str) -> Source | None:
    """The source that holds this exercise."""
    return next((source for source in sources() if exercise in source.exercises), None)


def read_lesson(file: Path, root: Path = ROOT) -> Lesson:
    """One lesson, taken apart. Raises SourceError."""
    found: list[Cell] = []
    for options, text in cells(file.read_text()):
        tags = _tags(options or {})
        if set(options or {}) - {"tags"} or set(tags) - {"live"}:
            raise SourceError(f"{file}: a lesson's code cell has no other option than ':tags: [live]'\n{text[:200]}")
        found.append(Cell("text" if options is None else "code", text, tags=tags))
    return Lesson(_relative(file, root), _title(found, file), tuple(found))


def read(file: Path, root: Path = ROOT) -> Source:
    """One file of exercises, taken apart. Raises SourceError."""
    source = Source(root, _relative(file, root), title="")
    current: Exercise | None = None
    solved = False
    for options, text in cells(file.read_text()):
        if options is not None:
            _add_code(source, current, options, text, file)
            continue
        # A heading begins a cell of its own, wherever it stands.
        for part in re.split(r"^(?=## |### Solution$)", text, flags=re.MULTILINE):
            if part.startswith("## "):
                current, solved = _exercise(part, file), False
                if current:
                    source.exercises[current.id] = current
                    source.explained[current.id] = []
            elif part.startswith("### Solution"):
                solved = True
            if not part.strip():
                continue
            if current and solved:
                source.explained[current.id].append(part.strip())
            else:
                source.cells.append(Cell("text", part.strip(), current.id if current else None))
    source.title = _title(source.cells, file)
    for exercise in source.exercises.values():
        roles = [c.role for c in source.cells if c.exercise == exercise.id]
        if roles.count("answer") != 1 or roles.count("check") != 1 or not exercise.solution:
            raise SourceError(f"{file}: {exercise.id} has one cell each of the roles answer, check and solution")
    return source


def _relative(file: Path, root: Path) -> Path:
    path = file.resolve()
    return path.relative_to(root) if path.is_relative_to(root) else path


def _title(cells: list[Cell], file: Path) -> str:
    title = re.match(r"# (.+)", cells[0].source) if cells else None
    if not title:
        raise SourceError(f"{file}: begin with a title, '# ...'")
    return title[1]


def _tags(options: dict[str, str]) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w-]+", options.get("tags", "")))


def _exercise(text: str, file: Path) -> Exercise | None:
    """The exercise that begins with this heading; None for another heading of the notebook."""
    heading, header = _HEADING.match(text), _HEADER.search(text)
    if not heading and re.match(r"## d\d", text):
        raise SourceError(f"{file}: write an exercise's heading as '## d1.b3.e3 · Title', not {text[:60]!r}")
    if not heading:
        return None
    if not header:
        raise SourceError(
            f"{file}: after its heading, {heading[1]} says '*12 minutes · core · implement (SQL) · needs ...*'"
        )
    return Exercise(heading[1], heading[2].strip(), int(header[1]), header[2], header[3], header[4])


def _add_code(source: Source, current: Exercise | None, options: dict[str, str], text: str, file: Path) -> None:
    role, name, says = options.get("role"), options.get("name"), options.get("says")
    if role in ("setup", "scratch", "answer", "check") and (current or role in ("setup", "scratch")):
        source.cells.append(Cell(role, text, current.id if current else None, _tags(options)))
        if current and role == "answer":
            current.stub = text
    elif current and role in ("wrong", "right") and name and (says is not None) == (role == "wrong"):
        current.variants.append(Variant(name, text, says))
    elif current and role == "solution" and (piece := options.get("piece")):
        try:
            current.solution = piece_text(piece, source.root)
        except NoPiece as missing:
            raise SourceError(f"{file}: {current.id}: {missing}") from None
        if text or not options.get("tests"):
            raise SourceError(f"{file}: {current.id}: beside :piece: stands :tests:, and no text: it comes from there")
        current.piece, current.tests = piece, options["tests"]
    elif current and role == "solution":
        current.solution = text
    else:
        raise SourceError(
            f"{file}: a code cell of the role {role!r} cannot stand here, or lacks a :name: or :says:\n{text[:200]}"
        )


def defined(source: str) -> set[str]:
    """The names that a cell defines at its top level; none for a cell that is no Python."""
    names: set[str] = set()
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return names
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names
