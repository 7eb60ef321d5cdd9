"""A figure: one line of the printed table and of the kept JSON.

In JSON the figures are grouped by what was measured and named by their unit:

    {"run.log() of two metrics / os.write": {"us, median": {"tracker": 2.8, "raw": 0.83, "tracker / raw": 3.37}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

HEAD = ("what / beside what", "unit", "tracker", "raw", "tracker / raw", "target")


class WrongAnswer(Exception):
    """What the tracker stored or answered is not what it was given; how fast it was does not matter then."""


@dataclass(frozen=True)
class Figure:
    """What was measured and in which unit, for the tracker and for the least that does the same work."""

    what: str
    unit: str
    tracker: float
    raw: float | None = None
    target: str = ""  # in words
    met: bool | None = None
    must: bool = False  # a target that is missed is then no slow answer but a wrong one

    @property
    def ratio(self) -> float | None:
        """Tracker to raw: of a rate, the share that is left; of a time, how many times as long."""
        return self.tracker / self.raw if self.raw else None


def table(figures: Iterable[Figure]) -> str:
    """The figures as lines of text."""
    lines: list[tuple[str, ...]] = [HEAD]
    said = ""
    for figure in figures:
        what, said = "" if figure.what == said else figure.what, figure.what
        numbers = ("" if number is None else _short(number) for number in (figure.tracker, figure.raw, figure.ratio))
        verdict = f"{figure.target}: {'met' if figure.met else 'MISSED'}" if figure.target else ""
        lines.append((what, figure.unit, *numbers, verdict))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def kept(figures: Iterable[Figure]) -> dict[str, dict[str, Any]]:
    """The figures as they are kept in JSON."""
    by_what: dict[str, dict[str, Any]] = {}
    for figure in figures:
        entry: dict[str, Any] = {"tracker": _rounded(figure.tracker)}
        if figure.raw is not None and figure.ratio is not None:
            entry |= {"raw": _rounded(figure.raw), "tracker / raw": _rounded(figure.ratio)}
        if figure.target:
            entry |= {"target": figure.target, "met": figure.met}
        by_what.setdefault(figure.what, {})[figure.unit] = entry
    return by_what


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words begin where their column begins, numbers end where it ends."""
    aligned = (f"{cell:{'>' if 2 <= i <= 4 else '<'}{widths[i]}}" for i, cell in enumerate(cells))
    return "  ".join(aligned).rstrip()


def _rounded(number: float) -> float:
    """Three digits that count: a fourth differs in the next run. Whole numbers stay whole."""
    return round(number) if abs(number) >= 100 or number == int(number) else float(f"{number:.3g}")


def _short(number: float) -> str:
    return f"{_rounded(number):,}"
