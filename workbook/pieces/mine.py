"""my_tracker: the tracker with a candidate's own answers in the place of its pieces.

    <checkout>/my_tracker/tracker/        a copy of the reference; each piece that is solved is the candidate's
    <checkout>/my_tracker/pieces.json     which those are, and what the copy was made of; git sees none of it

An answer graduates when its check passes and the tracker's own tests of the piece pass with it. Whatever is unsolved
stays the reference's, so the whole runs from the first day on. A program runs on it that is given `environment`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..check import State
from ..judge import NotJudged, find, judge_notebook
from ..source import ROOT, Exercise, Source, sources
from ..tries import Try, own, tries
from ..whole import unused
from .mutants import PASSED, REFERENCE, judge
from .piece import NoPiece, brought, grafted, name, path

FOLDER = Path("my_tracker")
PACKAGE = "tracker"
LIST = FOLDER / "pieces.json"
STATE = Path(".workbook")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "node_modules", "*.pyc")
Say = Callable[[str], object]


class NoTracker(Exception):
    """There is no my_tracker, or none that can be used; the text says what to do."""


@dataclass(frozen=True)
class Piece:
    """A piece of the tracker, and the answer that takes its place; without one the reference stays."""

    exercise: Exercise
    answer: str | None
    note: str = ""

    def __str__(self) -> str:
        whose = f"yours{self.note}" if self.answer is not None else f"the reference's: {self.note}"
        return f"{'✓' if self.answer is not None else '○'} {self.exercise.id} {self.exercise.piece}  {whose}"


@dataclass(frozen=True)
class Mine:
    """A my_tracker that is there."""

    yours: int
    of: int
    stale: bool  # made of another version of the reference

    def __str__(self) -> str:
        return f"{self.yours} of {self.of} pieces {'is' if self.yours == 1 else 'are'} yours"


def graduate(root: Path = ROOT, say: Say = print) -> list[Piece]:
    """Writes my_tracker anew, with every piece that is solved. Raises NoTracker where it cannot be written.

    One that somebody has edited since is kept in .workbook.
    """
    pieces = []
    modules = _Modules(root, say)
    for exercise, answer, note in _solved(root, say):
        refused = "" if answer is None else modules.graft(exercise, answer)
        pieces.append(Piece(exercise, None if refused else answer, refused or note))
        say(str(pieces[-1]))
    try:
        _write(pieces, modules.texts, root, say)
    except OSError as error:
        raise NoTracker(f"{FOLDER} cannot be written: {error.strerror}") from None
    return pieces


def mine(root: Path = ROOT) -> Mine:
    """The my_tracker that is there. Raises NoTracker."""
    kept = _list(root)
    if kept is None or not (root / FOLDER / PACKAGE).is_dir():
        raise NoTracker(f"there is no {FOLDER} yet: `workbook graduate` makes it")
    whose = [piece["yours"] is not None for piece in kept["pieces"].values()]
    return Mine(sum(whose), len(whose), kept["reference"] != _digest(root / PACKAGE))


def environment(root: Path = ROOT) -> dict[str, str]:
    """What makes a Python process import my_tracker instead of the reference, in whatever folder it starts."""
    return {"PYTHONPATH": str(root / FOLDER), "PYTHONSAFEPATH": "1"}


def _solved(root: Path, say: Say) -> Iterator[tuple[Exercise, str | None, str]]:
    """Each exercise whose solution is a piece, its answer that passed its check, and a note on it."""
    for source in sources():
        wanted = {exercise.id: exercise for exercise in source.exercises.values() if exercise.piece}
        if not wanted:
            continue
        say(f"Judging your answers to {', '.join(wanted)} ...")
        for exercise, state in _states(source, set(wanted), root, say).items():
            yield (wanted[exercise], *_answer(own(tries(exercise, root)), state))


def _states(source: Source, wanted: set[str], root: Path, say: Say) -> Mapping[str, State]:
    try:
        return {verdict.exercise: verdict.state for verdict in judge_notebook(find(source, root), wanted)}
    except NotJudged as missing:  # what was solved before still is
        say(str(missing))
        return dict.fromkeys(sorted(wanted), State.NOT_ATTEMPTED)


def _answer(found: list[Try], now: State) -> tuple[str | None, str]:
    """All cells of the newest try that was solved, and what there is to say of it."""
    solved = [one for one in found if one.state == State.SOLVED]
    if not solved:
        return None, "not solved yet"
    text = "\n\n\n".join(source for source, _ in solved[-1].cells)
    return text, "" if now is State.SOLVED else f", as you solved it before: in your notebook it is {now} now"


class _Modules:
    """The reference's modules, in which answers take their places one after the other."""

    def __init__(self, root: Path, say: Say) -> None:
        self.texts: dict[Path, str] = {}
        self._root, self._say, self._tested = root, say, _tested_before(root)
        self._brought: dict[tuple[Path, str], str] = {}

    def graft(self, exercise: Exercise, answer: str) -> str:
        """Puts an answer in its place, or says why it cannot take it."""
        assert exercise.piece
        file = path(exercise.piece, self._root)
        module = file.read_text()
        try:
            brings = {(file, its): text for its, text in brought(exercise.piece, module, answer).items()}
            whole = grafted(exercise.piece, self.texts.get(file, module), answer)
        except NoPiece as why:
            return str(why)
        for place, text in brings.items():
            if self._brought.get(place, text) != text:
                return f"another answer of yours has a {place[1]}, too, and they differ: rename one of them"
        if self._tested.get(exercise.id) != _hash(answer):
            self._say(f"Trying your {name(exercise.piece)} with the tracker's own tests ...")
            try:
                tested = judge(exercise.piece, exercise.tests, {exercise.id: answer}, self._root)
            except RuntimeError as why:
                return str(why)
            # Where the reference fails as well, something is missing here, and the tests tell nothing of the answer.
            if tested[REFERENCE].code == PASSED != tested[exercise.id].code:
                return f"its check passes, but not the tracker's own tests: {tested[exercise.id].said}"
        self.texts[file] = whole
        self._brought |= brings
        return ""


def _write(pieces: list[Piece], modules: dict[Path, str], root: Path, say: Say) -> None:
    """Beside the old one, which then makes place for it."""
    target, unfinished = root / FOLDER, root / f"{FOLDER}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(root / PACKAGE, unfinished / PACKAGE, ignore=NOT_COPIED)
    for file, text in modules.items():
        (unfinished / file.relative_to(root)).write_text(text)
    made = {
        "version": 1,
        "reference": _digest(root / PACKAGE),
        "written": _digest(unfinished / PACKAGE),
        "pieces": {
            piece.exercise.id: {
                "piece": piece.exercise.piece,
                "yours": None if piece.answer is None else _hash(piece.answer),
            }
            for piece in pieces
        },
    }
    (unfinished / LIST.name).write_text(json.dumps(made, indent=1) + "\n")
    if target.exists():
        kept = _list(root)
        beside_it = {path.name for path in target.iterdir()} - {PACKAGE, LIST.name, "__pycache__"}
        if kept is None or beside_it or _digest(target / PACKAGE) != kept["written"]:
            beside = unused(root / STATE / FOLDER)
            beside.parent.mkdir(exist_ok=True)
            target.rename(beside)
            say(f"You had edited {FOLDER}: that one is {beside.relative_to(root)} now")
        else:
            shutil.rmtree(target)
    unfinished.rename(target)


def _tested_before(root: Path) -> dict[str, str]:
    """The answers that graduated last time and have been tested against the reference as it is now."""
    kept = _list(root)
    if kept is None or kept["reference"] != _digest(root / PACKAGE):
        return {}
    return {name: piece["yours"] for name, piece in kept["pieces"].items() if piece["yours"]}


def _list(root: Path) -> dict[str, Any] | None:
    """What pieces.json says; None where it says nothing that can be used."""
    try:
        kept = json.loads((root / LIST).read_text())
        whole = kept["version"] == 1 and isinstance(kept["reference"], str) and isinstance(kept["written"], str)
        return kept if whole and all("yours" in piece for piece in kept["pieces"].values()) else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _digest(folder: Path) -> str:
    """Of every file in it that is copied."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        names = file.relative_to(folder).parts
        if file.is_file() and not {"__pycache__", "node_modules"} & set(names) and file.suffix != ".pyc":
            digest.update(f"{'/'.join(names)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
