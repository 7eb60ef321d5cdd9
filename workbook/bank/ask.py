"""`ask("d1.b3.q1")`: a question of the bank, asked in a notebook. Its id is all that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..source import sources

if TYPE_CHECKING:
    from .spoken import Spoken


class NoQuestion(LookupError):
    """There is no such question; the text says which ones there are."""


def ask(question: str) -> Spoken:
    """What asks it, as the last line of a cell. Raises NoQuestion."""
    from .questions import questions_of  # only who asks waits for YAML,

    bank = {one.id: one for source in sources() for one in questions_of(source)}
    if question not in bank:
        raise NoQuestion(f"there is no question {question!r}; the questions are {', '.join(bank)}")
    from .spoken import Spoken  # and for half a second of widgets

    return Spoken(bank[question])
