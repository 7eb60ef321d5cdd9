"""The commands about a candidate's own tracker: graduate, serve, start."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..source import ROOT, sources
from .terminal import Mistake


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `workbook`."""
    graduate = commands.add_parser("graduate", help="make my_tracker: the tracker, with the pieces that you solved")
    graduate.set_defaults(run=_graduate)

    serve = commands.add_parser("serve", help="run my_tracker and train on it, until Ctrl-C")
    serve.set_defaults(run=_serve)

    start = commands.add_parser("start", help="begin at a block (d2.b3): what comes before it is filled in")
    start.add_argument("block", metavar="BLOCK")
    start.set_defaults(run=_start)


def _graduate(options: argparse.Namespace) -> int:
    from ..pieces.mine import FOLDER, NoTracker, graduate, mine

    try:
        graduate()
        print(f"{FOLDER}: {mine()}. `workbook serve` runs it, `pytest --impl {FOLDER}` tests it")
    except NoTracker as reason:
        raise Mistake(str(reason)) from None
    return 0


def _serve(options: argparse.Namespace) -> int:
    from ..pieces.mine import FOLDER, NoTracker, environment, graduate, mine
    from ..processes import FOLDER as KEPT
    from ..processes import NotStarted, Processes, end_in_order

    end_in_order()
    try:
        try:
            stale = mine().stale
        except NoTracker:
            stale = True
        if stale:  # none yet, or one of an older version of the tracker
            graduate()
        about = f"{FOLDER}: {mine()}"
        print(f"Starting {about} ...", flush=True)
        with Processes(KEPT / "mine", environment()) as running:
            url, server = running.tracker(about)
            if server is None:
                return 0
            running.demo(url, server)
            print(f"\n  dashboard  {url}/ui/\n\n{about}. Ctrl-C ends it.", flush=True)
            while server.poll() is None:
                time.sleep(0.5)
    except (NoTracker, NotStarted) as reason:
        raise Mistake(str(reason)) from None
    except KeyboardInterrupt:
        print(f"\nEnded. What was tracked is in {(KEPT / 'mine').relative_to(ROOT)}/")
        return 0
    raise Mistake(f"it has ended by itself; its log is {(KEPT / 'mine' / 'tracker.log').relative_to(ROOT)}")


def _start(options: argparse.Namespace) -> int:
    from ..progress import standing
    from ..update import fill

    blocks: dict[str, list[str]] = {}
    for source in sources():
        for exercise in source.exercises:
            blocks.setdefault(exercise.rpartition(".")[0], []).append(exercise)
    if options.block not in blocks:
        raise Mistake(f"there is no block {options.block!r} yet; the blocks are {', '.join(blocks)}")
    filled = False
    for source in sources():
        before = {
            exercise.id
            for exercise in source.exercises.values()
            if exercise.id.rpartition(".")[0] < options.block and not standing(exercise).done
        }
        if before:
            file = fill(source, before)
            filled = True
            print(f"{file.relative_to(ROOT)}: filled in {', '.join(sorted(before))}. Reload it in JupyterLab")
    print("What you had tried there is in .workbook/tries" if filled else "Nothing to fill in")
    print(f"Next: {blocks[options.block][0]}")
    return 0
