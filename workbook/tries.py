"""The candidate's tries, kept: whatever becomes of a notebook, an answer that was judged once can be read again.

    <checkout>/.workbook/tries/d1.b3.e3.jsonl     one line per try, oldest first; git does not see it

Each line is one JSON object: `at` (ms since 1970, UTC), `state` (the verdict, or why it was put away), and `cells`, the
code cells of the try in their order: `source`, and whether it was the answer cell or one of the candidate's own.
A try like the one before it is not kept again.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .source import ROOT, defined, source_with

FOLDER = Path(".workbook/tries")
FILLED = "filled in"  # the state of a solution that `workbook start` put into the notebook
STARTED_FROM = "JPY_SESSION_NAME"  # Jupyter tells a kernel the notebook that it was started for


@dataclass(frozen=True)
class Try:
    """One answer as it was at one moment; `cells` as in `judge.Answer`."""

    at: int
    state: str
    cells: list[tuple[str, bool]]

    @property
    def answer(self) -> str:
        """The answer cell's text; an empty one if there was none."""
        return next((source for source, is_answer in self.cells if is_answer), "")


def keep(exercise: str, state: str, cells: list[tuple[str, bool]], root: Path = ROOT) -> bool:
    """Keeps a try, unless the newest one is the same; False where it cannot be written: that must disturb nobody."""
    entry: dict[str, Any] = {"at": time.time_ns() // 1_000_000, "state": state}
    entry["cells"] = [{"source": source, "answer": is_answer} for source, is_answer in cells]
    newest = tries(exercise, root)[-1:]
    if newest and (newest[0].state, newest[0].cells) == (state, cells):
        return True
    file = root / FOLDER / f"{exercise}.jsonl"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab", buffering=0) as kept:
            kept.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")  # one write: two kernels mix no lines
    except OSError:
        return False
    return True


def tries(exercise: str, root: Path = ROOT) -> list[Try]:
    """Every try that was kept, oldest first. A line that cannot be read is passed over."""
    try:
        lines = (root / FOLDER / f"{exercise}.jsonl").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        with suppress(ValueError, LookupError, TypeError):
            entry = json.loads(line)
            cells = [(str(cell["source"]), bool(cell["answer"])) for cell in entry["cells"]]
            found.append(Try(int(entry["at"]), str(entry["state"]), cells))
    return found


def own(found: list[Try]) -> list[Try]:
    """Those that are the candidate's, and not a solution that was filled in and then judged."""
    filled = {one.answer for one in found if one.state == FILLED}
    return [one for one in found if one.answer not in filled]


def keep_from_notebook(exercise: str, state: str, executed: list[str]) -> None:
    """Keeps the try that a check in JupyterLab has just judged, from the cells that its kernel has executed."""
    started_from, source = os.environ.get(STARTED_FROM), source_with(exercise)
    if not started_from or source is None or "-solutions" in Path(started_from).name:
        return
    names = source.exercises[exercise].names
    answer = next((cell for cell in reversed(executed[:-1]) if names & defined(cell)), None)
    if answer is not None:
        keep(exercise, state, [(answer, True)])
