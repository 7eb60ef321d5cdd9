"""The commands `workbook author ...`."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..commands.terminal import Mistake
from ..kinds import KINDS
from ..source import ROOT

if TYPE_CHECKING:
    from .contract import Line
    from .evidence import Evidence


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `workbook author`."""
    build = commands.add_parser("build", help="build the notebooks and cheat sheets from workbook/blocks")
    build.add_argument("--check", action="store_true", help="only say which of them are not what their source says")
    build.add_argument("--strict", action="store_true", help="with --check: a notebook with answers counts as changed")
    build.add_argument("--refresh-live", action="store_true", help="measure again what lessons show as measured")
    build.set_defaults(run=_build)

    contract = commands.add_parser("contract", help="prove what holds for every block, and say what to mend")
    contract.add_argument(
        "block", nargs="*", metavar="BLOCK", help="d1.b3; nothing: every block, the start notebook too"
    )
    contract.set_defaults(run=_contract)

    new = commands.add_parser("new", help="begin a block, or one more exercise, with a scaffold to be filled in")
    what = new.add_subparsers(dest="what", required=True, metavar="WHAT")
    block = what.add_parser("block", help="a block of the study plan: lesson, three exercises, two questions")
    block.add_argument("block", metavar="BLOCK", help="d1.b1")
    block.set_defaults(run=_new_block)
    exercise = what.add_parser("exercise", help="one more exercise of a block")
    exercise.add_argument("exercise", metavar="ID", help="d1.b3.e6")
    exercise.add_argument("--language", default="Python", help=f"one of {', '.join(KINDS)}; Python if you say none")
    exercise.add_argument("--extra", action="store_true", help="not one of the block's core exercises")
    exercise.set_defaults(run=_new_exercise)


def _build(options: argparse.Namespace) -> int:
    from ..build import build

    stale = 0
    for built in build(check=options.check, strict=options.strict, refresh_live=options.refresh_live):
        path = built.path.relative_to(ROOT)
        if built.outcome == "stale":
            stale += 1
            print(f"{path} is not what its source says: make build")
        elif built.outcome == "kept":
            print(f"{path} kept: a reader wrote in it")
        elif built.outcome == "written":
            print(f"{path} written")
    return 1 if stale else 0


def _contract(options: argparse.Namespace) -> int:
    """Exit code 0 when every line holds."""
    from ..bank.questions import QuestionError
    from ..labs import offline
    from .block import blocks
    from .contract import CONTRACT
    from .evidence import Evidence

    known = {block.id: block for block in blocks()}
    for name in options.block:
        if name not in known:
            raise Mistake(f"there is no block {name!r}; the blocks are {', '.join(known)}")
    broken = 0
    for name in options.block or known:
        began, evidence = time.monotonic(), Evidence(known[name])
        print(f"{name}  {known[name].source.title}: running its answers ...", flush=True)
        with suppress(QuestionError):
            evidence.gather()
        for line in CONTRACT:
            mark, found = _judged(line, evidence)
            broken += bool(found)
            print(f"  {mark} {line.number:2}  {line.name}")
            for complaint in found:
                print(f"        {complaint}")
        if not offline.is_possible():
            print("  11 was not tried: it takes the network away with `unshare --user --net`, which cannot be had here")
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return 1 if broken else 0


def _judged(line: Line, evidence: Evidence) -> tuple[str, list[str]]:
    """How a line of the contract is marked, and what is to be mended. A question stands in the notebooks, too."""
    from ..bank.questions import QuestionError

    try:
        found = list(line.broken(evidence))
    except QuestionError:
        return "?", ["not to be told while a question is refused: see line 7, here or of another block"]
    return "✗" if found else "✓", found


def _new_block(options: argparse.Namespace) -> int:
    from .scaffold import NotMade, new_block

    try:
        files = new_block(options.block, ROOT)
    except NotMade as reason:
        raise Mistake(str(reason)) from None
    for file in files:
        print(f"{file} written")
    _say_next(options.block)
    return 0


def _new_exercise(options: argparse.Namespace) -> int:
    from .scaffold import NotMade, new_exercise

    try:
        file = new_exercise(options.exercise, options.language, extra=options.extra, root=ROOT)
    except NotMade as reason:
        raise Mistake(str(reason)) from None
    print(f"{file}: {options.exercise} added as its last exercise")
    _say_next(options.exercise.rpartition(".")[0])
    return 0


def _say_next(block: str) -> None:
    print(
        "Next: write what each TODO asks for. `make build` makes the notebooks, and "
        f"`workbook author contract {block}` says what is left"
    )
