"""The commands about the checkout as a whole: study, update."""

from __future__ import annotations

import argparse
from typing import Any

from .terminal import Mistake


def add_commands(commands: Any) -> None:
    """Adds it to the parser of `workbook`."""
    study = commands.add_parser("study", help="start the tracker and JupyterLab, until Ctrl-C")
    study.add_argument("--no-browser", action="store_true", help="only print the addresses")
    study.set_defaults(run=_study)

    update = commands.add_parser("update", help="bring the newest version of the workbook; your work stays in it")
    update.set_defaults(run=_update)


def _study(options: argparse.Namespace) -> int:
    from ..processes import NotStarted
    from ..study import study

    try:
        return study(browser=not options.no_browser)
    except NotStarted as error:
        raise Mistake(str(error)) from None


def _update(options: argparse.Namespace) -> int:
    from ..update import NotUpdated, update

    try:
        update()
    except NotUpdated as reason:
        raise Mistake(str(reason)) from None
    print("The workbook is up to date. `make study` sets up what is new")
    return 0
