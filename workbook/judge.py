"""Judges the answers of a notebook: the one path behind `workbook check` and `pytest --nbval`.

    the candidate's notebook       answer cells, and cells of their own
    the source                     support code, checks, reference answers

Only answers are taken from the notebook, so a check that was edited, deleted or given a faked output judges nothing.
Each exercise is judged alone: what comes before it is the reference's. The cells know their exercise and the notebook
its source, so a notebook that was renamed, copied or moved is judged like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .check import VERDICT, State, Verdict
from .kernel import Kernel, Ran
from .kinds import LIMIT, SECONDS
from .source import ROOT, Exercise, Source, sources
from .tries import keep

# A notebook as its file has it. Not read with nbformat, which takes over a second to load: these few names of the
# format are what they were when version 4 of it began.
Notebook = dict[str, Any]

SUPPORT_SECONDS = 60.0  # that a cell of ours may take
GRACE = 5.0  # seconds, at least, for a check whose time is up: what it began, a server for instance, has to end


class NotJudged(Exception):
    """This notebook cannot be judged; the text says why and what to do."""


@dataclass
class Answer:
    """The candidate's cells for one exercise, in the order of the notebook: (source, whether it is an answer cell)."""

    cells: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def given(self) -> bool:
        """There is an answer cell."""
        return any(is_answer for _, is_answer in self.cells)


def is_exercise_notebook(path: Path) -> bool:
    """It holds answer cells of ours: it is no lesson and no built solution."""
    try:
        metadata = load(path)["metadata"].get("workbook", {})
    except NotJudged:
        return False
    return "digest" in metadata and not str(metadata.get("source")).endswith("/lesson.md")


def find(source: Source, root: Path = ROOT) -> Path:
    """The candidate's notebook of this source: where it was built, or wherever below it was moved. Raises NotJudged."""
    built = root / source.notebooks[0]
    if built.exists():
        return built
    for path in sorted([*root.glob("notebooks/**/*.ipynb"), *root.glob("exercises/**/*.ipynb")]):
        if is_exercise_notebook(path) and load(path)["metadata"]["workbook"].get("source") == str(source.path):
            return path
    raise NotJudged(
        f"{source.notebooks[0]} is missing; `git checkout -- {source.notebooks[0]}` brings the empty one back"
    )


def load(path: Path) -> Notebook:
    """The notebook. Raises NotJudged for a file that is none."""
    try:
        notebook: Notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])  # the format allows a text, or its lines
            cell["metadata"].get("workbook")
        notebook["metadata"].get("workbook")
    except OSError as error:
        raise NotJudged(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise NotJudged(f"{path} is no notebook any more; `git checkout -- {path}` brings the empty one back") from None
    return notebook


def source_of(notebook: Notebook, path: Path) -> Source:
    """The source that the notebook was built from. Raises NotJudged."""
    name = notebook["metadata"].get("workbook", {}).get("source")
    for source in sources():
        if str(source.path) == name:
            return source
    raise NotJudged(f"{path} was not built from a source of this workbook")


def answers(notebook: Notebook) -> dict[str, Answer]:
    """The candidate's answer to each exercise. A cell of their own belongs to the answer that it stands before, or
    after if it stands before that exercise's check: a helper function may stand in either place."""
    found: dict[str, Answer] = {}
    waiting: list[str] = []
    open_exercise: str | None = None
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code" or not cell["source"].strip():
            continue
        mark = cell["metadata"].get("workbook", {})
        role, exercise = mark.get("role"), mark.get("exercise")
        if role == "answer" and exercise:
            answer = found.setdefault(exercise, Answer())
            answer.cells += [(source, False) for source in waiting] + [(cell["source"], True)]
            waiting, open_exercise = [], exercise
        elif role == "check":
            waiting, open_exercise = [], None
        elif role is None or (role == "scratch" and exercise):
            if open_exercise:
                found[open_exercise].cells.append((cell["source"], False))
            else:
                waiting.append(cell["source"])
    return found


class Judge:
    """Judges exercises of one source, in one kernel. `seconds` are those that an answer may take."""

    def __init__(self, source: Source, folder: Path = ROOT, seconds: float = SECONDS) -> None:
        self._source, self._seconds = source, seconds
        self._kernel = Kernel(folder, {LIMIT: f"{seconds:g}"})
        self._prepared = 0  # cells of the source that this kernel has run
        self.stopped = False  # the last check did not end by itself

    def __enter__(self) -> Self:
        self._kernel.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kernel.__exit__(kind, error, trace)

    def judge(self, exercise: Exercise, answer: Answer) -> Verdict:
        """The verdict on one answer."""
        if not answer.given:
            return Verdict(
                exercise.id,
                State.NOT_ATTEMPTED,
                "its answer cell is gone: copy it from a fresh checkout, or undo the deletion in JupyterLab",
            )
        check = self._prepare(exercise)
        tried_out = {cell.source for cell in self._source.cells if cell.role == "scratch"}
        for source, is_answer in answer.cells:
            if source in tried_out:  # as we built it, it defines nothing that an answer could need
                continue
            ran = self._run(source, self._seconds)
            verdict = _of_answer(exercise.id, ran) if is_answer or ran.stopped else None
            if verdict:
                return verdict
        ran = self._run(check, self._seconds + max(0.5 * self._seconds, GRACE))  # it ends itself, or cannot
        self.stopped = ran.stopped is not None
        return _of_check(exercise.id, ran)

    def _prepare(self, exercise: Exercise) -> str:
        """Runs all that comes before this exercise's answer, with the reference's answers; the source of its check."""
        cells = self._source.cells
        target = next(i for i, c in enumerate(cells) if c.exercise == exercise.id and c.role == "answer")
        if self._prepared > target:  # judged before, or out of order: its support code runs again
            self._prepared = next(i for i, c in enumerate(cells) if c.exercise == exercise.id)
        for cell in cells[self._prepared : target]:
            source = cell.source
            if cell.role == "answer":
                assert cell.exercise
                source = self._source.exercises[cell.exercise].solution
            elif cell.role != "setup":
                continue
            ran = self._run(source, SUPPORT_SECONDS)
            if ran.error or ran.stopped:
                raise NotJudged(f"the support code of {cell.exercise or self._source.title} failed: {_short(ran)}")
        self._prepared = target
        # What defined these names before, the reference or an answer judged earlier, is not this answer's work.
        self._run(f"for _name in {sorted(exercise.names)}: globals().pop(_name, None)", SUPPORT_SECONDS)
        return next(c.source for c in cells if c.exercise == exercise.id and c.role == "check")

    def _run(self, source: str, seconds: float) -> Ran:
        ran = self._kernel.run(source, seconds)
        if ran.fresh:
            self._prepared = 0
        return ran


def judge_notebook(path: Path, wanted: set[str] | None = None) -> Iterator[Verdict]:
    """The verdicts on a notebook's exercises, one after the other; only on the `wanted` ones. Raises NotJudged."""
    notebook = load(path)
    source = source_of(notebook, path)
    given = answers(notebook)
    with Judge(source, path.resolve().parent) as judge:
        for exercise in source.exercises.values():
            if wanted is None or exercise.id in wanted:
                answer = given.get(exercise.id, Answer())
                verdict = judge.judge(exercise, answer)
                keep_try(path, answer, verdict)
                yield verdict


def keep_try(path: Path, answer: Answer, verdict: Verdict) -> None:
    """Keeps what was judged, if the notebook is one of this checkout and there was something to judge."""
    if path.resolve().is_relative_to(ROOT) and verdict.state is not State.NOT_ATTEMPTED:
        keep(verdict.exercise, verdict.state, answer.cells)


def _of_answer(exercise: str, ran: Ran) -> Verdict | None:
    """The verdict that an answer cell brings on by itself, before any check."""
    if ran.stopped:
        return Verdict(exercise, State.WRONG, ran.stopped)
    if ran.error is None:
        return None
    if ran.error["ename"] == "NotImplementedError":
        return Verdict(exercise, State.NOT_ATTEMPTED)
    return Verdict(exercise, State.WRONG, _short(ran))


def _of_check(exercise: str, ran: Ran) -> Verdict:
    for output in reversed(ran.outputs):
        data = output.get("data", {}).get(VERDICT)
        if data and data["exercise"] == exercise:
            return Verdict(exercise, State(data["state"]), data["message"])
    return Verdict(exercise, State.WRONG, _short(ran) if ran.error or ran.stopped else "its check gave no verdict")


def _short(ran: Ran) -> str:
    """The error in a line, and the line of the cell that it came from."""
    if ran.stopped or ran.error is None:
        return ran.stopped or ""
    name, text = ran.error["ename"], ran.error["evalue"].partition("\n")[0]
    text = re.sub(r" \([^()]*\.py, line (\d+)\)$", r", in line \1 of its cell", text)  # Python's words on a SyntaxError
    if name == "SystemExit":
        return "your code ended the program (sys.exit or exit)"
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(ran.error["traceback"]))
    lines = re.findall(r"^-+> (\d+) (.+)$", trace, re.MULTILINE)
    where = f"\nin line {lines[-1][0]} of its cell:  {lines[-1][1].strip()}" if lines else ""
    return f"your code raised {name}: {text}{where}"
