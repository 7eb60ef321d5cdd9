"""From a source to its notebooks: the exercise notebook with stubs, and the solution notebook, executed.
From the bank of questions, each day's cheat sheet.

Building twice changes no byte: cell ids come from the exercise's id, and nothing of the time, the machine or the
process gets into the file. An exercise notebook belongs to the candidate as soon as a cell of it was changed: it
remembers the digest of what was built, and one that no longer has this digest is never written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .check import VERDICT, State
from .kernel import ENVIRONMENT
from .sheets import checkpoint, sheets
from .source import ROOT, Cell, Source, SourceError, sources

SECONDS = 120  # that one cell may take
FOLDED = 20  # lines from which on support code is folded: the task should stay in view


@dataclass(frozen=True)
class Built:
    """One file, and what became of it: written, unchanged, kept (it holds answers) or stale (`--check`)."""

    path: Path
    outcome: str


def build(*, check: bool = False, strict: bool = False, root: Path = ROOT) -> Iterator[Built]:
    """Builds every notebook and every sheet below `root`; with `check`, only compares, without running any cell.

    A notebook with a candidate's answers is compared by the digest it was built with, unless `strict`. Raises
    SourceError when a solution does not solve its exercise.
    """
    for source in sources():
        yield build_exercises(source, root, check=check, strict=strict)
        yield build_solutions(source, root, check=check)
    for path, text in sheets().items():
        yield build_sheet(root / path, text, check=check)


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


def build_sheet(file: Path, text: str, *, check: bool = False) -> Built:
    """The cheat sheet of a day."""
    if check:
        return Built(file, "unchanged" if file.exists() and file.read_text() == text else "stale")
    return Built(file, _write_text(file, text))


def exercise_notebook(source: Source) -> NotebookNode:
    """What the candidate fills in."""
    cells = [*source.cells, *checkpoint(source)]
    notebook = _notebook(source, _note(source, "Write in the answer cells; the boxes below them judge."), cells)
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
    return _notebook(source, _note(source, "The exercises with their answers. Try them yourself first."), cells)


def digest(notebook: NotebookNode) -> str:
    """Of what a candidate can change: the cells' ids and sources. Running them changes neither."""
    cells = [(cell.id, cell.source) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def execute(notebook: NotebookNode, root: Path = ROOT) -> None:
    """Runs the cells in place, and keeps nothing of it but their outputs."""
    from nbclient import NotebookClient

    metadata = dict(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(root)}},
    )
    client.execute(env=os.environ | ENVIRONMENT, stderr=subprocess.DEVNULL)  # outputs come by messages
    notebook.metadata = nbformat.from_dict(metadata)  # nbclient adds the version of this Python


def _note(source: Source, what: str) -> str:
    return f"*{what} Built from `{source.path}`.*"


def _notebook(source: Source, note: str, cells: list[Cell]) -> NotebookNode:
    notebook = new_notebook(
        metadata={
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
            "workbook": {"source": str(source.path)},
        }
    )
    seen: Counter[str] = Counter()
    for number, cell in enumerate(cells):
        name = f"{(cell.exercise or 'book').replace('.', '-')}-{cell.role}"
        seen[name] += 1
        notebook.cells.append(_cell(cell, f"{name}-{seen[name]}", note if number == 0 else None))
    return notebook


def _cell(cell: Cell, cell_id: str, note: str | None) -> NotebookNode:
    if cell.role == "text":
        return new_markdown_cell(f"{cell.source}\n\n{note}" if note else cell.source, id=cell_id)
    metadata: dict[str, Any] = {"workbook": {"role": cell.role}}
    if cell.exercise:
        metadata["workbook"]["exercise"] = cell.exercise
    if cell.role in ("setup", "check"):
        metadata |= {"editable": False, "deletable": False}
        if cell.source.count("\n") >= FOLDED:
            metadata["jupyter"] = {"source_hidden": True}
    elif cell.role == "answer":
        metadata["deletable"] = False
    if cell.tags:
        metadata["tags"] = list(cell.tags)
    return new_code_cell(cell.source, id=cell_id, metadata=metadata)


def _all_solved(notebook: NotebookNode, source: Source) -> None:
    verdicts = {
        data[VERDICT]["exercise"]: data[VERDICT]
        for cell in notebook.cells
        for data in (output.get("data", {}) for output in cell.get("outputs", []))
        if VERDICT in data
    }
    for exercise in source.exercises:
        verdict = verdicts.get(exercise, {"state": "not checked", "message": ""})
        if verdict["state"] != State.SOLVED:
            raise SourceError(f"{source.path}: the solution of {exercise} is {verdict['state']}: {verdict['message']}")


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


def _solution_differs(file: Path, wanted: NotebookNode) -> bool:
    """Everything but the outputs, which only running it can tell."""
    notebook = _load(file)
    if notebook is None:
        return True
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return bool(notebook != wanted)
