"""The commands about answers: status, check, hint, solution, reset."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..check import State
from ..judge import find, is_exercise_notebook, judge_notebook
from ..source import ROOT, source_with, sources
from .terminal import Mistake, coloured, known, near, warn, width


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `workbook`."""
    status = commands.add_parser("status", help="how every exercise stands, what is left, and what comes next")
    status.set_defaults(run=_status)

    check = commands.add_parser("check", help="judge your answers: all, one (d1.b3.e3), a block (d1.b3) or a notebook")
    check.add_argument("targets", nargs="*", metavar="ID|BLOCK|NOTEBOOK", help="nothing: every exercise there is")
    check.set_defaults(run=_check)

    hint = commands.add_parser("hint", help="an exercise's next hint; each says a little more")
    hint.add_argument("exercise", metavar="ID")
    hint.add_argument("number", nargs="?", type=int, metavar="N", help="this one, instead of the next")
    hint.set_defaults(run=_hint)

    solution = commands.add_parser(
        "solution", help="after a try: the solution, why, and what your answer has otherwise"
    )
    solution.add_argument("exercise", metavar="ID")
    solution.add_argument("--anyway", action="store_true", help="without a try")
    solution.set_defaults(run=_solution)

    reset = commands.add_parser(
        "reset", help="begin an exercise (d1.b3.e3), a block (d1.b3) or all anew; tries are kept"
    )
    reset.add_argument("target", metavar="ID|BLOCK|all")
    reset.set_defaults(run=_reset)


def _check(options: argparse.Namespace) -> int:
    """Exit code 0 when all that was asked for is solved, or scored by its author."""
    counts = Counter[State]()
    for path, wanted in _targets(options.targets):
        for verdict in judge_notebook(path, wanted):
            counts[verdict.state] += 1
            first, *rest = str(verdict).splitlines()
            print("\n".join([coloured(first, verdict.state), *(f"    {line}" for line in rest)]), flush=True)
            if verdict.state is State.WRONG:
                print(f"    `workbook hint {verdict.exercise}` helps", flush=True)
    if counts.total() > 1:
        print(", ".join(f"{counts[state]} {state}" for state in reversed(State) if counts[state]))
    return 0 if all(state.done for state in counts) else 1


def _targets(named: Sequence[str]) -> Iterator[tuple[Path, set[str] | None]]:
    """Each notebook to be judged, with the exercises that are asked for (None: all of them)."""
    if not named:
        for source in sources():
            yield find(source), None
    for name in named:
        if named_source := source_with(name):
            yield find(named_source), {name}
        elif block := next((s for s in sources() if any(e.startswith(f"{name}.e") for e in s.exercises)), None):
            yield find(block), None
        elif name.endswith(".ipynb") and is_exercise_notebook(Path(name)):
            yield Path(name), None
        elif Path(name).exists():
            raise Mistake(f"{name} is no exercise notebook")
        else:
            raise Mistake(f"there is no exercise, block or notebook {name!r}; {near(name)}")


def _status(options: argparse.Namespace) -> int:
    from ..board import board, rows

    for line, state in board(rows(sources())):
        print(coloured(line, state) if state else line)
    return 0


def _hint(options: argparse.Namespace) -> int:
    from ..bank.markup import terminal_text
    from ..progress import NotKept, change, read

    name = options.exercise
    hints = known(name).hints(name)
    try:
        shown = read(say=warn).hints.get(name, 0)
    except NotKept as reason:
        shown = 0
        warn(str(reason))
    number = min(shown + 1, len(hints)) if options.number is None else options.number
    if not 1 <= number <= len(hints):
        raise Mistake(f"{name} has {len(hints)} hints: there is none with the number {number}")
    print(f"{name}, hint {number} of {len(hints)}: {hints[number - 1].title}\n")
    print(f"{terminal_text(hints[number - 1].text, width())}\n")
    more = f"workbook hint {name}" if number < len(hints) else f"after a try, workbook solution {name}"
    print(f"If that does not help: {more}")
    if number > shown:
        try:
            change(lambda progress: progress.hints.update({name: number}), say=warn)
        except NotKept as reason:
            warn(str(reason))
    return 0


def _solution(options: argparse.Namespace) -> int:
    from ..progress import NotKept, change
    from ..solution import solution

    name = options.exercise
    source = known(name)
    text = solution(source, name, anyway=options.anyway, width=width())
    if text is None:
        raise Mistake(f"try {name} first (workbook hint {name} helps), or say --anyway")
    print(text)
    try:
        change(lambda progress: progress.solutions.setdefault(name, time.time_ns() // 1_000_000), say=warn)
    except NotKept as reason:
        warn(str(reason))
    return 0


def _reset(options: argparse.Namespace) -> int:
    from ..update import reset

    target, found = options.target, False
    for source in sources():
        mine = {exercise for exercise in source.exercises if exercise == target}
        if mine or target == "all" or any(exercise.startswith(f"{target}.e") for exercise in source.exercises):
            file, found = reset(source, mine or None), True
            print(
                f"{file.relative_to(ROOT)}: {target if mine else 'all of it'} as it was built. Reload it in JupyterLab"
            )
    if not found:
        raise Mistake(f"there is no exercise and no block {target!r}: write d1.b3.e3, d1.b3 or all")
    print("Your tries are in .workbook/tries")
    return 0
