"""The commands about the bank of questions: drill, say, refresh, plan, cards."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..source import ROOT, lessons, sources
from .terminal import Mistake, number, warn

if TYPE_CHECKING:
    from ..bank.index import Bank
    from ..bank.sitting import Sitting

COUNT = 20  # cards of a drill: about seven minutes
PLACEMENT = 10  # cards before a plan, of about 20 seconds each


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `workbook`."""
    drill = commands.add_parser("drill", help="ask cards, those first that you were sure of and wrong about")
    drill.add_argument("blocks", nargs="*", metavar="BLOCK", help="a block (d1.b3) or a day (d1); nothing: all")
    drill.add_argument("--count", default=str(COUNT), metavar="N", help=f"at most so many cards; {COUNT}")
    drill.set_defaults(run=_drill)

    say = commands.add_parser("say", help="answer a question aloud in two minutes, and count your points")
    say.add_argument("question", nargs="?", metavar="ID", help="nothing: the one that needs it most")
    say.add_argument("--minutes", default="2", metavar="M", help="to speak; 2")
    say.set_defaults(run=_say)

    refresh = commands.add_parser("refresh", help="the last review before the interview: what was wrong comes first")
    refresh.add_argument("--minutes", default="30", metavar="M", help="after which it ends; 30")
    refresh.set_defaults(run=_refresh)

    plan = commands.add_parser("plan", help="up to ten quick cards, then what to do in the hours that you have")
    plan.add_argument("--hours", required=True, metavar="N", help="that you have in all")
    plan.add_argument("--no-questions", action="store_true", help="the plan at once")
    plan.set_defaults(run=_plan)

    cards = commands.add_parser("cards", help="write the cards as an Anki deck")
    cards.add_argument("file", nargs="?", default="cards.apkg", metavar="FILE", help="cards.apkg")
    cards.set_defaults(run=_cards)


def _drill(options: argparse.Namespace) -> int:
    from ..bank.asking import BETS
    from ..bank.due import due

    count = int(number(options.count, "--count", 1, 1000))
    with _sitting(options.blocks) as sitting:
        names = due(sitting.bank.cards, sitting.history)[:count]
        sitting.dialogue.say(f"Cards: {len(names)}. Ctrl-C ends it, and loses no answer. {BETS}")
        sitting.cards(names)
    return 0


def _say(options: argparse.Namespace) -> int:
    from ..bank.due import due

    minutes = number(options.minutes, "--minutes", 0.1, 15)
    sitting = _sitting()
    questions = sitting.bank.questions
    name = options.question or due(questions, sitting.history)[0]
    if name not in questions:
        raise Mistake(f"there is no question {name!r}; the questions are {', '.join(questions)}")
    with sitting:
        sitting.speak(name, 60 * minutes)
    return 0


def _refresh(options: argparse.Namespace) -> int:
    from ..bank.asking import BETS

    minutes = number(options.minutes, "--minutes", 1, 240)
    with _sitting() as sitting:
        ends = sitting.dialogue.clock() + 60 * minutes
        sitting.dialogue.say(f"{minutes:g} min: what was wrong, then points to recall, then the sheets. {BETS}")
        for step in _steps(sitting):
            if sitting.dialogue.clock() >= ends:
                sitting.dialogue.head("The time is up.")
                break
            step()
        else:
            sitting.dialogue.head("That was all there is.")
    return 0


def _steps(sitting: Sitting) -> list[Callable[[], None]]:
    """What a last review goes through, the most urgent first."""
    from ..bank.due import due, wrong
    from ..bank.index import block_of
    from ..bank.sheets import lines

    bank, history = sitting.bank, sitting.history
    steps: list[Callable[[], None]] = []
    steps += [partial(sitting.card, name, "wrong last time") for name in wrong(bank.cards, history)]
    steps += [partial(sitting.recall, name) for name in due(bank.questions, history)]
    for block, title in bank.titles.items():
        questions = [question for name, question in bank.questions.items() if block_of(name) == block]
        steps.append(partial(sitting.read, title, lines(questions)))
    return steps


def _plan(options: argparse.Namespace) -> int:
    from ..bank.asking import BETS
    from ..bank.due import known, placement
    from ..bank.index import block_of
    from ..bank.schedule import lines, open_parts, schedule, unwritten
    from ..progress import standing

    minutes = 60 * number(options.hours, "--hours", 0.5, 100)
    sitting = _sitting()
    names = placement(sitting.bank.cards, sitting.history, PLACEMENT)
    if names and not options.no_questions:
        with sitting:
            sitting.dialogue.say(f"First {len(names)} quick cards, to see what you know already. {BETS}")
            sitting.cards(names)
        sitting.dialogue.say()
    done = {name for name in sitting.bank.questions if (times := sitting.history.get(name)) and times[-1].right}
    exercises = [exercise for book in sources() for exercise in book.exercises.values()]
    done |= {exercise.id for exercise in exercises if standing(exercise, ROOT).done}
    shares = {
        block: known([name for name in sitting.bank.cards if block_of(name) == block], sitting.history)
        for block in sitting.bank.titles
    }
    found = schedule(list(open_parts(sources(), lessons(), done)), minutes, shares)
    for line in lines(found, minutes, unwritten(sources())):
        sitting.dialogue.say(line)
    return 0


def _cards(options: argparse.Namespace) -> int:
    try:
        from ..bank.deck import NotWritten, write
    except ModuleNotFoundError as missing:  # a checkout that was updated, and not set up since
        raise Mistake(f"{missing.name} is not installed: `make setup` brings it") from None
    file = Path(options.file)
    bank = _bank()
    try:
        write(file, bank)
    except NotWritten as reason:
        raise Mistake(str(reason)) from None
    print(
        f"{file}: {len(bank.cards)} cards. In Anki: File, Import, this file. A later one brings what is new or mended"
    )
    return 0


def _bank(blocks: list[str] | None = None) -> Bank:
    """All of it, or the part in these blocks. Raises Mistake."""
    from ..bank.index import bank

    found = bank(sources())
    try:
        return found.of(blocks) if blocks else found
    except LookupError as missing:
        raise Mistake(f"there are no questions of {missing.args[0]!r}, only of {', '.join(found.titles)}") from None


def _sitting(blocks: list[str] | None = None) -> Sitting:
    from ..bank.sitting import Sitting

    return Sitting(_bank(blocks), root=ROOT, warn=warn)
