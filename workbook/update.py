"""`workbook update`: a newer workbook with the candidate's work in it. `workbook reset`: an exercise as it was built.

An update goes step by step, and whatever ends it in the middle, the next one goes on from the copies.

    1  each exercise notebook with work in it is copied, as it is and as it was built, to .workbook/update/
    2  git brings the newer version
    3  the work is put into the new notebooks, each of which is written at once or not at all
    4  .workbook/update/ is renamed to .workbook/updated-<time>/: the copies stay
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .graft import graft, work_in
from .judge import Answer, NotJudged, answers, find, load
from .source import ROOT, Source
from .tries import FILLED, keep
from .whole import unused, write_whole

STATE = Path(".workbook")
COPIES = STATE / "update"
FOLDERS = ("notebooks", "exercises")
Say = Callable[[str], object]


class NotUpdated(Exception):
    """It could not be done, or not all of it; the text says why, and what to do."""


def update(root: Path = ROOT, say: Say = print) -> None:
    """Brings the newest version and keeps the work. Raises NotUpdated; the work is in its place even then."""
    copies = root / COPIES
    if (copies / "complete").exists():
        say("Going on with an update that was ended in the middle")
        _copy_what_was_written_meanwhile(root)
    else:
        _copy(root, _changed(root))
    names = sorted(file.relative_to(copies / "mine") for file in (copies / "mine").rglob("*.ipynb"))
    for name in names:
        if _git(root, "cat-file", "-t", f"HEAD:{name}", missing=""):
            _git(root, "checkout", "--quiet", "HEAD", "--", str(name))
    problem = _pull(root)
    for name in names:
        left = _put_back(root, name)
        say(f"{name}: your work is in it" + (f", but for what has no place in it any more: {left}" if left else ""))
    copies.replace(unused(root / STATE / "updated"))
    if problem:
        raise NotUpdated(problem)


def reset(source: Source, wanted: set[str] | None, root: Path = ROOT) -> Path:
    """Empties the answers to the `wanted` exercises, or (None) makes the whole notebook as it was built; its path.

    The tries stay in .workbook/tries, and of a whole notebook a copy in .workbook. Raises judge.NotJudged.
    """
    file = find(source, root)
    for exercise, answer in answers(load(file)).items():
        if wanted is None or exercise in wanted:
            _put_away(exercise, answer, root)
    if wanted is not None:
        _write_answers(file, {name: source.exercises[name].stub for name in wanted})
    else:
        kept = unused(root / STATE / "reset") / file.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept)
        from .build import exercise_notebook

        write_whole(file, nbformat.writes(exercise_notebook(source)) + "\n")
    return file


def fill(source: Source, wanted: set[str], root: Path = ROOT) -> Path:
    """Puts the solutions into the answer cells of the `wanted` exercises; the notebook's path. Raises judge.NotJudged.

    What stood there is kept among the tries, and so is the solution, by which it is known as none of the candidate's.
    """
    file = find(source, root)
    for exercise, answer in answers(load(file)).items():
        if exercise in wanted:
            _put_away(exercise, answer, root)
            keep(exercise, FILLED, [(source.exercises[exercise].solution, True)], root)
    _write_answers(file, {name: source.exercises[name].solution for name in wanted})
    return file


def _put_away(exercise: str, answer: Answer, root: Path) -> None:
    """Raises judge.NotJudged where it cannot be kept: then it stays in the notebook."""
    if answer.cells and not keep(exercise, "put away", answer.cells, root):
        raise NotJudged(f"your answer to {exercise} cannot be kept in {STATE}/tries, so nothing was changed")


def _write_answers(file: Path, by_exercise: dict[str, str]) -> None:
    """Into the answer cells, as if they had never been run."""
    notebook = _read(file)
    for cell in notebook.cells:
        mark = cell.metadata.get("workbook", {})
        if mark.get("role") == "answer" and mark.get("exercise") in by_exercise:
            cell.source, cell.outputs, cell.execution_count = by_exercise[mark["exercise"]], [], None
    write_whole(file, nbformat.writes(notebook) + "\n")


def _copy(root: Path, changed: list[str]) -> None:
    shutil.rmtree(root / COPIES, ignore_errors=True)  # of one that was ended before anything was touched
    for name in changed:
        for kind, text in (("mine", (root / name).read_text()), ("built", _git(root, "show", f"HEAD:{name}"))):
            copy = root / COPIES / kind / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
    (root / COPIES).mkdir(parents=True, exist_ok=True)
    (root / COPIES / "complete").write_text("")


def _copy_what_was_written_meanwhile(root: Path) -> None:
    """Between an update that was ended and this one, somebody may have gone on in a notebook."""
    for copy in (root / COPIES / "mine").rglob("*.ipynb"):
        name = copy.relative_to(root / COPIES / "mine")
        built = _git(root, "show", f"HEAD:{name}", missing="")
        if (root / name).exists() and (root / name).read_text() not in (copy.read_text(), built):
            shutil.copyfile(root / name, unused(root / COPIES / f"{name.stem}-meanwhile.ipynb"))


def _put_back(root: Path, name: Path) -> Path | None:
    """Puts the copied work into the newest version of the notebook; where what has no place in it was written."""
    copies, file = root / COPIES, root / name
    try:
        left = work_in(_read(copies / "mine" / name), _read(copies / "built" / name))
    except (ValueError, LookupError, AttributeError, nbformat.ValidationError):  # a file that is no notebook any more
        beside = unused(root / STATE / "left" / f"{name.stem}.ipynb")
        beside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copies / "mine" / name, beside)
        return beside.relative_to(root)
    newest = _git(root, "show", f"HEAD:{name}", missing="")
    if newest:
        grown, left = graft(nbformat.reads(newest, 4), left)
        write_whole(file, nbformat.writes(grown) + "\n")
    if not left:
        return None
    beside = unused(root / STATE / "left" / f"{name.stem}.py")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(left.text())
    return beside.relative_to(root)


def _changed(root: Path) -> list[str]:
    """The exercise notebooks in which there is something of the candidate's."""
    named = _git(root, "diff", "--name-only", "--diff-filter=M", "HEAD", "--", *FOLDERS)
    return [name for name in named.splitlines() if name.endswith(".ipynb")]


def _pull(root: Path) -> str | None:
    """Brings the newest version; why not, where that cannot be done."""
    try:
        _git(root, "pull", "--quiet", "--ff-only")
    except NotUpdated as refused:
        return f"{refused}\nYour work is where it was. Mend that, and type `workbook update` again"
    return None


def _git(root: Path, *arguments: str, missing: str | None = None) -> str:
    """What git says. Raises NotUpdated with its complaint, unless there is something to say for what is `missing`."""
    try:
        ran = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotUpdated("git is needed, and was not found") from None
    if ran.returncode and missing is None:
        raise NotUpdated(f"git {arguments[0]}: {ran.stderr.strip()}")
    return str(missing) if ran.returncode else ran.stdout


def _read(file: Path) -> NotebookNode:
    return nbformat.reads(file.read_text(), 4)
