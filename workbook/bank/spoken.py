"""A spoken question as a widget: spoken.js draws it, spoken.css paints it, and what was answered is kept here.

    stage     bet -> speak -> points -> done: only ever forward; running the cell again begins anew
    bet       1 (a guess) to 4 (certain), before the answer is seen
    ticks     the points that were made, by their number from 0
    answer    what is compared, as HTML of ours: `ask_first`, `points` (one each), `model`
    said      what became of the answer once it is done

The browser sets the first three, and this process, at *done*, keeps bet and ticks in the progress file. A page that is
loaded again shows the folds, until the cell is run again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..progress import Asked, NotKept, change
from ..source import ROOT
from .markup import html_line, html_text
from .questions import Question
from .sheets import unasked

HERE = Path(__file__)


class Spoken(anywidget.AnyWidget):
    """One question, asked once."""

    _esm = HERE.with_suffix(".js").read_text()
    _css = HERE.with_suffix(".css").read_text()

    name = traitlets.Unicode().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)
    stage = traitlets.Enum(["bet", "speak", "points", "done"], "bet").tag(sync=True)
    bet = traitlets.Int(0, min=0, max=4).tag(sync=True)
    ticks = traitlets.List(traitlets.Int()).tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, question: Question, root: Path = ROOT) -> None:
        self._question, self._root = question, root
        super().__init__(
            name=question.id,
            answer={
                "ask_first": [html_line(point) for point in question.ask_first],
                "points": [html_line(point) for point in question.must_mention],
                "model": html_text(f"{question.model_answer}\n\n**The trade-off.** {question.trade_off}"),
            },
        )
        self.observe(self._keep, "stage")

    def __repr__(self) -> str:
        return unasked(self._question)["text/plain"]

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """With the folds beside the widget, for whoever can show no widget."""
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return data | unasked(self._question), metadata

    def _keep(self, changed: Any) -> None:
        if changed.new != "done":
            return
        made, of = len(set(self.ticks)), len(self._question.must_mention)
        answered = Asked(time.time_ns() // 1_000_000, self.bet, made, of)
        said: list[str] = []
        try:
            change(lambda p: p.asked.setdefault(self._question.id, []).append(answered), self._root, said.append)
            said.append(f"Kept: {made} of {of} points, bet {self.bet}. Run the cell again to be asked again.")
        except NotKept as reason:
            said.append(f"{made} of {of} points, but not kept. {reason}")
        self.said = " ".join(said)
