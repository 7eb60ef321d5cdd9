"""The contract: what holds for every block, line by line. Each line was broken by some known workbook.

A line that a block does not keep says what to mend. Everything here is proven on pristine copies: no answer of whoever
runs it is read or touched.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat

from ..build import build_exercises, build_lesson, build_solutions, exercise_notebook
from ..check import State
from ..graft import graft, work_in
from ..kinds import ENDLESS, KINDS
from ..labs import offline
from ..pieces.mutants import FAILED, PASSED, REFERENCE
from ..source import Exercise, defined
from ..tries import tries
from ..update import reset
from . import form
from .evidence import SOLUTION, UNTOUCHED, Evidence

NETWORK = re.compile(r"gaierror|Network is unreachable|[Nn]ame (?:resolution|or service)")
MINE = "  # a candidate's line"


@dataclass(frozen=True)
class Line:
    """One line of the contract: `broken` yields what is to be mended."""

    number: int
    name: str
    broken: Callable[[Evidence], Iterator[str]]


def untouched(evidence: Evidence) -> Iterator[str]:
    """1. Every check ends *not attempted*, and nothing else fails."""
    for exercise in evidence.block.exercises:
        verdict = evidence.verdicts[exercise.id, UNTOUCHED]
        if (verdict.state, verdict.message) != (State.NOT_ATTEMPTED, ""):
            yield f"{_told(str(verdict))}: untouched, an answer raises NotImplementedError, or its check does"
    for cell, said in evidence.untouched.items():
        if State.NOT_ATTEMPTED not in said:
            yield f"Run All of the untouched notebook: {cell}: {_told(said)}: let it do with the stub what it can"


def solved(evidence: Evidence) -> Iterator[str]:
    """2. The solution is green through nbval and through the command line."""
    for exercise in evidence.block.exercises:
        verdict = evidence.verdicts[exercise.id, SOLUTION]
        if verdict.state is not _best(exercise):
            yield f"the solution of {_told(str(verdict))}: mend the solution, or its check"
    notebook = evidence.block.source.notebooks[1]
    if not (evidence.block.root / notebook).exists():
        yield f"{notebook} is not there for nbval to run: make build"
        return
    for name, why in evidence.nbval.failed.items():
        if not NETWORK.search(why):
            yield f"nbval, {notebook.name}, {name}: {_told(why)}"


def refused(evidence: Evidence) -> Iterator[str]:
    """3. At least two named wrong answers, each told its own message; another right one passes."""
    for exercise in evidence.block.exercises:
        if not _graded(exercise):
            continue
        wrong = [variant for variant in exercise.variants if variant.says]
        says = [variant.says for variant in wrong]
        if len(set(says)) < 2:
            yield f"{exercise.id} has {len(set(says))} wrong answers with a message of their own: write at least 2"
        for twice in {variant.name for variant in wrong if says.count(variant.says) > 1}:
            yield f"{exercise.id} {twice} is told what another wrong answer is told: tell them apart in the check"
        if len(wrong) == len(exercise.variants):
            yield f"{exercise.id} has no other right answer: write one of the role right, or the check fits one only"
        for variant in exercise.variants:
            verdict = evidence.verdicts[exercise.id, variant.name]
            if variant.says is None and verdict.state is not State.SOLVED:
                yield f"{variant.name} is right, but {_told(str(verdict))}: the check refuses more than the task"
            elif variant.says and (verdict.state is not State.WRONG or variant.says not in _told(verdict.message)):
                told = f"is told {_told(verdict.message)!r}" if verdict.state is State.WRONG else f"is {verdict.state}"
                yield f"{exercise.id} {variant.name} {told}, not {variant.says!r}: mend its :says:, or the check"


def built(evidence: Evidence) -> Iterator[str]:
    """4. Building again changes nothing."""
    block, strict = evidence.block, os.environ.get("CI") == "true"
    files = [build_exercises(block.source, block.root, check=True, strict=strict)]
    files += [build_solutions(block.source, block.root, check=True)]
    files += [build_lesson(block.lesson, block.root, check=True, strict=strict)] if block.lesson else []
    stale = [file.path for file in files if file.outcome == "stale"]
    for path in stale:
        yield f"{path.relative_to(block.root)} is not what its source says: make build"
    solutions = block.root / block.source.notebooks[1]
    if not stale and solutions.read_text() != evidence.rebuilt:
        yield f"{solutions.relative_to(block.root)} is another each time it is built: print nothing of time or chance"


def limited(evidence: Evidence) -> Iterator[str]:
    """9. Each check has a time limit that ends in one clear line; the rest goes on."""
    yield from form.limits(evidence.block)
    for exercise, verdict in evidence.endless.items():
        told = _told(str(verdict)) if verdict else "stopped by nothing in JupyterLab"
        if not re.search(rf"wrong: .*(?:endless loop|{re.escape(ENDLESS)})", told):
            yield f"endless, an answer to {exercise} is {told}: let the check run it by `sql` or `shell`"


def moved(evidence: Evidence) -> Iterator[str]:
    """10. A renamed, copied or moved notebook is judged like any other."""
    for exercise in evidence.block.exercises:
        here, there = evidence.verdicts[exercise.id, SOLUTION], evidence.moved[exercise.id]
        if here != there:
            yield f"moved elsewhere, {_told(str(there))}: let nothing depend on the notebook's folder or name"


def offline_too(evidence: Evidence) -> Iterator[str]:
    """11. Green with the network off."""
    for name, why in evidence.nbval.failed.items():
        if NETWORK.search(why):
            yield f"{evidence.block.source.notebooks[1].name}, {name} asks the network: bring what it needs along"
    if not offline.is_possible() and os.environ.get("CI") == "true":
        yield "the network could not be taken away: unshare --user --net is not allowed here"


def run(evidence: Evidence) -> Iterator[str]:
    """12. No skip without a dated reason."""
    yield from form.skips(evidence.block)
    if evidence.nbval.skipped:
        yield f"nbval skipped {evidence.nbval.skipped} cells of {evidence.block.source.notebooks[1].name}: run them"


def kept(evidence: Evidence) -> Iterator[str]:
    """14. Building, updating and resetting never lose a candidate's work."""
    source, block = evidence.block.source, evidence.block
    elsewhere = [defined(cell.source) for cell in source.cells if cell.role in ("setup", "scratch")]
    for exercise in block.exercises:
        others = [*elsewhere, *(other.names for other in block.exercises if other is not exercise)]
        if not exercise.names - set().union(*others):
            yield f"{exercise.id}: its answer defines no name of its own, by which JupyterLab's tries are kept: name it"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = build_exercises(source, root).path
        fresh, mine = exercise_notebook(source), nbformat.read(file, 4)
        for cell in mine.cells:
            if cell.metadata.get("workbook", {}).get("role") == "answer":
                cell.source += MINE
        nbformat.write(mine, file)
        before = file.read_bytes()
        if build_exercises(source, root).outcome != "kept" or file.read_bytes() != before:
            yield "building wrote over a notebook with answers"
        grown, left = graft(fresh, work_in(mine, fresh))
        if left or [cell.source for cell in grown.cells] != [cell.source for cell in mine.cells]:
            yield "an update loses answers: are two cells alike?"
        reset(source, None, root)
        for exercise in block.exercises:
            if [one.answer for one in tries(exercise.id, root)] != [exercise.stub + MINE]:
                yield f"{exercise.id}: a reset kept no copy of its answer"


def own(evidence: Evidence) -> Iterator[str]:
    """15. Each solution piece is the tracker's own code, whose tests let each right answer live, and no wrong one."""
    for exercise in evidence.block.exercises:
        codes = dict(evidence.killed.get(exercise.id, {}))
        right = [variant.name for variant in exercise.variants if not variant.says]
        if codes and codes.pop(REFERENCE).code != PASSED:
            yield f"{exercise.id}: the tracker itself does not pass :tests: {exercise.tests}"
        for name, code in ((name, tested.code) for name, tested in codes.items()):
            if code == FAILED and name in right:
                yield f"{exercise.id} {name} is right, but as {exercise.piece} fails {exercise.tests}: mend one of them"
            elif code == PASSED and name not in right:
                yield f"{exercise.id} {name} passes {exercise.tests} as {exercise.piece}: add the test that it fails"
            elif code not in (PASSED, FAILED):
                yield f"{exercise.id} {name} cannot even be loaded as {exercise.piece}: an answer is one that runs"


CONTRACT = (
    Line(1, "untouched, nothing is attempted and nothing fails", untouched),
    Line(2, "solutions are green through nbval and the command line", solved),
    Line(3, "each known wrong answer is told its own message", refused),
    Line(4, "building again changes nothing", built),
    Line(5, "ids agree, and what interviews ask is where asked.yaml says", lambda evidence: form.ids(evidence.block)),
    Line(6, "hints help, and hold no line of the solution", lambda evidence: form.hints(evidence.block)),
    Line(7, "questions can be spoken and scored", lambda evidence: form.questions(evidence.block)),
    Line(8, "what looks like code is run", lambda evidence: form.snippets(evidence.block)),
    Line(9, "an endless answer ends in one clear line", limited),
    Line(10, "a renamed or moved notebook is judged the same", moved),
    Line(11, "it is green with the network off", offline_too),
    Line(12, "nothing is skipped without a dated reason", run),
    Line(13, "it fits its minutes and its page, with no stray file", lambda evidence: form.size(evidence.block)),
    Line(14, "a candidate's work is never lost", kept),
    Line(15, "pieces are the tracker's own code, and its tests kill the wrong ones", own),
    Line(16, "lesson and exercises keep their form", lambda evidence: form.anatomy(evidence.block)),
)


def _best(exercise: Exercise) -> State:
    return State.SOLVED if _graded(exercise) else State.SELF_SCORED


def _graded(exercise: Exercise) -> bool:
    return exercise.language not in KINDS or KINDS[exercise.language].graded


def _told(text: str) -> str:
    """The first line, or of a verdict what it is and why."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return ": ".join(lines[:2]) if lines and lines[0][0] in "○✗◐✓" else (lines[0] if lines else "")
