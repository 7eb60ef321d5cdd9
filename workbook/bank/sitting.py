"""A sitting: one thing of the bank asked after the other. Each answer is kept as soon as it is given, and however the
sitting ends (Ctrl-C and the end of a pipe included), it ends with how many were right, and which were sure but wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import shorten
from types import TracebackType
from typing import Self

from ..progress import Asked, NotKept, change, read
from ..source import ROOT
from . import asking
from .dialogue import Dialogue, Ended
from .index import Bank

NAMED = 60  # characters by which a card or question is known again


class Sitting:
    """`history` is what was asked before, and in this sitting: as in `Progress.asked`."""

    def __init__(
        self, bank: Bank, dialogue: Dialogue | None = None, root: Path = ROOT, warn: Callable[[str], object] = print
    ) -> None:
        self.bank, self.dialogue, self._root, self._warn = bank, dialogue or Dialogue(), root, warn
        self.history: dict[str, list[Asked]] = {}
        self._answered: list[tuple[str, Asked]] = []
        self._warned: set[str] = set()
        try:
            self.history = read(root, warn).asked
        except NotKept as reason:
            self._warn_once(str(reason))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is not None and not issubclass(kind, KeyboardInterrupt | Ended):
            return False
        ended = kind is not None and issubclass(kind, Ended)
        self.dialogue.say()
        if ended:
            self.dialogue.say("There is no more input, so it ends here.")
        self._sum_up()
        return ended

    def cards(self, names: Sequence[str]) -> None:
        """These cards. Raises Ended."""
        for number, name in enumerate(names, 1):
            self.card(name, f"{number} of {len(names)}")

    def card(self, name: str, where: str) -> None:
        """One card, below a line that says where we are. Raises Ended."""
        self.dialogue.head(f"{where} · {name}")
        self._keep(name, self.bank.cards[name].front, asking.card(self.dialogue, self.bank.cards[name]))

    def speak(self, name: str, seconds: float) -> None:
        """A question to answer aloud, and what to compare with. Raises Ended."""
        question = self.bank.questions[name]
        self.dialogue.say(f"{name} · {asking.BETS}")
        self.dialogue.say()
        self._keep(name, question.prompt, asking.spoken(self.dialogue, question, seconds))
        asking.explain(self.dialogue, question)

    def recall(self, name: str) -> None:
        """The points of a question. Raises Ended."""
        self.dialogue.head(f"points · {name}")
        question = self.bank.questions[name]
        self._keep(name, question.prompt, asking.recalled(self.dialogue, question))

    def read(self, title: str, lines: Iterable[str]) -> None:
        """Lines of a sheet. Raises Ended."""
        self.dialogue.head(f"sheet · {title}")
        for line in lines:
            self.dialogue.say(line.removeprefix("- "), mark="  - ")
        self.dialogue.ask("Read, then Enter.")

    def _keep(self, name: str, text: str, asked: Asked) -> None:
        self._answered.append((text, asked))
        self.history.setdefault(name, []).append(asked)
        try:
            change(lambda progress: progress.asked.setdefault(name, []).append(asked), self._root, self._warn)
        except NotKept as reason:
            self._warn_once(str(reason))

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._warn(text)

    def _sum_up(self) -> None:
        if not self._answered:
            self.dialogue.say("Nothing was answered.")
            return
        right = [asked.right for _, asked in self._answered]
        _, last = self._answered[-1]
        if len(right) > 1 or last.of == 1:
            self.dialogue.say(f"{sum(right)} of {len(right)} right.")
        else:
            counts = "that is right" if last.right else "not right yet: that takes three quarters of them"
            self.dialogue.say(f"{last.made} of {last.of} points, {counts}.")
        sure = [text for text, asked in self._answered if asked.sure and not asked.right]
        named = " / ".join(shorten(text, NAMED, placeholder=" ...") for text in sure)
        self.dialogue.say(f"Sure but wrong: {named or 'nothing'}")
