"""The command about paper: sheets."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..source import ROOT, sources
from .terminal import Mistake

FOLDER = "cheatsheets"


def add_commands(commands: Any) -> None:
    """Adds it to the parser of `workbook`."""
    sheets = commands.add_parser("sheets", help="a day on one page to be printed, as PDF")
    sheets.add_argument("day", nargs="?", metavar="DAY", help="d1; nothing: every day there is")
    sheets.add_argument("--folder", type=Path, help=f"where to put it, instead of {FOLDER}/")
    sheets.set_defaults(run=_sheets)


def _sheets(options: argparse.Namespace) -> int:
    from ..bank.sheets import sheets

    texts = {f"d{path.name[len('day')]}": (path, text) for path, text in sheets(sources()).items()}
    if options.day not in (None, *texts):
        raise Mistake(f"there is no sheet of {options.day!r}; there is one of {', '.join(texts)}")
    from ..bank.paper import DoesNotFit, pdf

    folder = options.folder or ROOT / FOLDER
    for day, (path, text) in texts.items():
        if options.day in (None, day):
            file = folder / f"{path.stem}.pdf"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                file.write_bytes(pdf(text))
            except DoesNotFit as why:
                raise Mistake(f"the sheet of {day} does not fit a page: {why}") from None
            except OSError as why:
                raise Mistake(f"{file} cannot be written: {why.strerror}; name another place with --folder") from None
            print(file if options.folder else os.path.relpath(file))
    return 0
