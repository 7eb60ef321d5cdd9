"""From a source to its notebooks: lessons, executed; the exercise notebook with stubs; the solution notebook, executed.
From the bank of questions, each day's cheat sheet.

Building twice changes no byte: cell ids come from the exercise's id or the lesson's section, and nothing of the time,
the machine or the process gets into the file. What a lesson's live cells show does depend on these, so their stored
outputs are kept as long as the lesson up to them is unchanged.

Exercises and lessons belong to the reader as soon as a cell was changed: the notebook remembers the digest of what was
built, and one that no longer has this digest is never written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from .bank.sheets import checkpoint, sheets
from .check import VERDICT, State
from .kernel import ENVIRONMENT, started
from .source import ROOT, Cell, Lesson, Source, SourceError, lessons, sources

SECONDS = 120  # that one cell may take
FOLDED = 20  # lines from which on support code is folded: the task should stay in view


@dataclass(frozen=True)
class Built:
    """One file, and what became of it: written, unchanged, kept (a reader wrote in it) or stale (`--check`)."""

    path: Path
    outcome: str


def build(
    *, check: bool = False, strict: bool = False, refresh_live: bool = False, root: Path = ROOT
) -> Iterator[Built]:
    """Builds every notebook and every sheet below `root`; with `check`, only compares, without running any cell.

    A notebook in which somebody wrote is compared by the digest it was built with, unless `strict`. `refresh_live`
    keeps no stored output. Raises SourceError when a solution does not solve its exercise.
    """
    for lesson in lessons():
        yield build_lesson(lesson, root, check=check, strict=strict, refresh_live=refresh_live)
    for source in sources():
        yield build_exercises(source, root, check=check, strict=strict)
        yield build_solutions(source, root, check=check)
    for path, text in sheets(sources()).items():
        yield build_sheet(root / path, text, check=check)


def build_lesson(
    lesson: Lesson, root: Path, *, check: bool = False, strict: bool = False, refresh_live: bool = False
) -> Built:
    """The lesson, executed. Raises nbclient's CellExecutionError when one of its cells does."""
    file, notebook = root / lesson.notebook, lesson_notebook(lesson)
    if check:
        return Built(file, "stale" if _lesson_differs(file, notebook, strict) else "unchanged")
    if file.exists() and not _is_pristine(file):
        return Built(file, "kept")
    execute(notebook, root)
    if not refresh_live:
        _keep_live(notebook, _load(file))
    return Built(file, _write(file, notebook))


def build_exercises(source: Source, root: Path, *, check: bool = False, strict: bool = False) -> Built:
    """The notebook that becomes the candidate's."""
    file, notebook = root / source.notebooks[0], exercise_notebook(source)
    if check:
        return Built(file, "stale" if _exercise_differs(file, notebook, strict) else "unchanged")
    if file.exists() and not _is_pristine(file):
        return Built(file, "kept")
    return Built(file, _write(file, notebook))


def build_solutions(source: Source, root: Path, *, check: bool = False) -> Built:
    """The notebook with the answers, executed. Raises SourceError when one of them is not solved."""
    file, notebook = root / source.notebooks[1], solution_notebook(source)
    if check:
        return Built(file, "stale" if _solution_differs(file, notebook) else "unchanged")
    execute(notebook, root)
    _all_solved(notebook, source)
    return Built(file, _write(file, notebook))


def lesson_notebook(lesson: Lesson) -> NotebookNode:
    """Not executed yet."""
    section, named = "top", []
    for cell in lesson.cells:
        heading = re.match(r"## (\w+)", cell.source) if cell.role == "text" else None  # "## 4 · ...", "## Recap"
        section = heading[1].lower() if heading else section
        named.append((section, cell))
    note = "Run the cells one after the other. What they show now was measured when this page was built."
    notebook = _notebook(lesson.path, note, named)
    notebook.metadata["workbook"]["digest"] = digest(notebook)
    return notebook


def build_sheet(file: Path, text: str, *, check: bool = False) -> Built:
    """The cheat sheet of a day."""
    if check:
        return Built(file, "unchanged" if file.exists() and file.read_text() == text else "stale")
    return Built(file, _write_text(file, text))


def exercise_notebook(source: Source) -> NotebookNode:
    """What the candidate fills in."""
    note = "Write in the answer cells; the boxes below them judge."
    notebook = _notebook(source.path, note, _by_exercise([*source.cells, *checkpoint(source)]))
    notebook.metadata["workbook"]["digest"] = digest(notebook)
    return notebook


def solution_notebook(source: Source) -> NotebookNode:
    """Filled in and explained, not executed yet."""
    cells: list[Cell] = []
    for position, cell in enumerate(source.cells):
        if cell.role == "scratch":
            continue
        if cell.role == "answer":
            assert cell.exercise
            cell = Cell("answer", source.exercises[cell.exercise].solution, cell.exercise, cell.tags)
        cells.append(cell)
        following = source.cells[position + 1].exercise if position + 1 < len(source.cells) else None
        if cell.exercise and cell.exercise != following:
            cells += (Cell("text", text, cell.exercise) for text in source.explained[cell.exercise])
    cells += checkpoint(source, interviewer=True)
    note = "The exercises with their answers. Try them yourself first."
    return _notebook(source.path, note, _by_exercise(cells))


def digest(notebook: NotebookNode) -> str:
    """Of what a candidate can change: the cells' ids and sources. Running them changes neither."""
    cells = [(cell.id, cell.source) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def execute(notebook: NotebookNode, root: Path = ROOT, *, allow_errors: bool = False) -> None:
    """Runs the cells in place, and keeps nothing of it but their outputs."""
    from nbclient import NotebookClient

    metadata = dict(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        allow_errors=allow_errors,
        resources={"metadata": {"path": str(root)}},
    )
    started(lambda: client.execute(env=os.environ | ENVIRONMENT, stderr=subprocess.DEVNULL))  # outputs come by messages
    notebook.metadata = nbformat.from_dict(metadata)  # nbclient adds the version of this Python


def _by_exercise(cells: Iterable[Cell]) -> list[tuple[str, Cell]]:
    return [((cell.exercise or "book").replace(".", "-"), cell) for cell in cells]


def _notebook(path: Path, note: str, named: list[tuple[str, Cell]]) -> NotebookNode:
    """Of cells, each with what its id begins with."""
    note = f"*{note} Built from `{path}`.*"
    notebook = new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
            "workbook": {"source": str(path)},
        }
    )
    seen: Counter[str] = Counter()
    for number, (prefix, cell) in enumerate(named):
        name = f"{prefix}-{cell.role}"
        seen[name] += 1
        notebook.cells.append(_cell(cell, f"{name}-{seen[name]}", note if number == 0 else None))
    return notebook


def _cell(cell: Cell, cell_id: str, note: str | None) -> NotebookNode:
    if cell.role == "text":
        return new_markdown_cell(f"{cell.source}\n\n{note}" if note else cell.source, id=cell_id)
    metadata: dict[str, Any] = {}
    if cell.role != "code":
        metadata["workbook"] = {"role": cell.role}
    if cell.exercise:
        metadata["workbook"]["exercise"] = cell.exercise
    if cell.role in ("setup", "check", "ask"):
        metadata |= {"editable": False, "deletable": False}
        if cell.source.count("\n") >= FOLDED:
            metadata["jupyter"] = {"source_hidden": True}
    elif cell.role == "answer":
        metadata["deletable"] = False
    if cell.tags:
        metadata["tags"] = [*cell.tags, *(["nbval-ignore-output"] if "live" in cell.tags else [])]
    outputs = [new_output("display_data", dict(cell.shows))] if cell.shows else []
    return new_code_cell(cell.source, id=cell_id, metadata=metadata, outputs=outputs)


def _all_solved(notebook: NotebookNode, source: Source) -> None:
    verdicts = {
        data[VERDICT]["exercise"]: data[VERDICT]
        for cell in notebook.cells
        for data in (output.get("data", {}) for output in cell.get("outputs", []))
        if VERDICT in data
    }
    for exercise in source.exercises:
        verdict = verdicts.get(exercise, {"state": "not checked", "message": ""})
        if verdict["state"] not in (State.SOLVED, State.SELF_SCORED):
            raise SourceError(f"{source.path}: the solution of {exercise} is {verdict['state']}: {verdict['message']}")


def _keep_live(notebook: NotebookNode, stored: NotebookNode | None) -> None:
    """Gives live cells their stored outputs, until a source, or an output that is not live, is another than before."""
    now, before = ([c for c in n.cells if c.cell_type == "code"] if n else [] for n in (notebook, stored))
    for cell, old in zip(now, before, strict=False):
        live = "live" in cell.metadata.get("tags", [])
        if cell.source != old.source or (cell.outputs != old.outputs and not live):
            return
        cell.outputs = old.outputs or cell.outputs


def _write(file: Path, notebook: NotebookNode) -> str:
    nbformat.validate(notebook)
    return _write_text(file, nbformat.writes(notebook) + "\n")


def _write_text(file: Path, text: str) -> str:
    if file.exists() and file.read_text() == text:
        return "unchanged"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return "written"


def _load(file: Path) -> NotebookNode | None:
    """The notebook; None for a file that is missing or is none."""
    try:
        notebook = nbformat.reads(file.read_text(), 4)
        nbformat.validate(notebook)
    except (OSError, ValueError, AttributeError, nbformat.ValidationError, nbformat.reader.NotJSONError):
        return None
    return notebook


def _is_pristine(file: Path) -> bool:
    """Nobody has changed it since it was built. A file that cannot be read is somebody's, until they say otherwise."""
    notebook = _load(file)
    return notebook is not None and notebook.metadata.get("workbook", {}).get("digest") == digest(notebook)


def _exercise_differs(file: Path, wanted: NotebookNode, strict: bool) -> bool:
    if strict or _is_pristine(file):
        return not file.exists() or file.read_text() != nbformat.writes(wanted) + "\n"
    notebook = _load(file)
    return notebook is None or notebook.metadata.get("workbook", {}).get("digest") != wanted.metadata.workbook.digest


def _lesson_differs(file: Path, wanted: NotebookNode, strict: bool) -> bool:
    if strict:
        return _solution_differs(file, wanted)
    notebook = _load(file)
    return notebook is None or notebook.metadata.get("workbook", {}).get("digest") != wanted.metadata.workbook.digest


def _solution_differs(file: Path, wanted: NotebookNode) -> bool:
    """Everything but the outputs, which only running it can tell."""
    notebook = _load(file)
    if notebook is None:
        return True
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return bool(notebook != wanted)
