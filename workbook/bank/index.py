"""The bank as a whole: the questions and cards of all blocks, in the order of the days, by the ids they are kept under.

    d1.b3.q1       a spoken question: day 1, block 3, question 1
    d1.b3.q1.c2    the second of its cards

A card's number is its place in questions.yaml: a new card is added at the end, or the ones behind it swap histories.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..source import Source
from .questions import Card, Question, questions_of


@dataclass(frozen=True)
class Bank:
    """What can be asked. `titles` names its blocks: "d1.b3" -> "1.3 · Database schema"."""

    questions: dict[str, Question]
    cards: dict[str, Card]
    titles: dict[str, str]

    def of(self, names: Iterable[str]) -> Bank:
        """The part of it in these blocks (d1.b3) and days (d1). Raises LookupError with the name that has none."""
        wanted: set[str] = set()
        for name in names:
            found = {block for block in self.titles if name in (block, block.partition(".")[0])}
            if not found:
                raise LookupError(name)
            wanted |= found
        return Bank(
            {id: question for id, question in self.questions.items() if block_of(id) in wanted},
            {id: card for id, card in self.cards.items() if block_of(id) in wanted},
            {block: title for block, title in self.titles.items() if block in wanted},
        )


def bank(books: Iterable[Source]) -> Bank:
    """The bank of these sources. Raises SourceError."""
    found = Bank({}, {}, {})
    for source in books:
        for question in questions_of(source):
            found.titles[block_of(question.id)] = source.title.removesuffix(": exercises")
            found.questions[question.id] = question
            for number, card in enumerate(question.cards, 1):
                found.cards[f"{question.id}.c{number}"] = card
    return found


def block_of(id: str) -> str:
    """d1.b3, of d1.b3.q1.c2."""
    return ".".join(id.split(".")[:2])
