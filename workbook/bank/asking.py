"""How one thing of the bank is asked: a card, a question to speak, a question to recall. Each ends in an `Asked`.

The bet comes before the answer is seen: after it, everybody has known it all along. The score is the candidate's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..progress import Asked
from .dialogue import Dialogue
from .questions import Card, Question

BETS = "Bet before you look: 1 a guess, 2 unsure, 3 fairly sure, 4 certain."


def card(dialogue: Dialogue, asked: Card) -> Asked:
    """The front, a bet, the back. Raises Ended."""
    dialogue.say(asked.front)
    bet = _bet(dialogue)
    dialogue.say(asked.back, mark="    ")
    had_it = dialogue.choose("Did you have it, y or n?", "yn") == "y"
    return _scored(bet, int(had_it), 1)


def spoken(dialogue: Dialogue, question: Question, seconds: float) -> Asked:
    """What to ask back, a bet, the time to speak, and the points that were made. Raises Ended."""
    dialogue.say(question.prompt)
    dialogue.say()
    dialogue.ask("What would you ask back? Say it aloud, then Enter.")
    _list(dialogue, question.ask_first)
    dialogue.say()
    bet = _bet(dialogue)
    dialogue.say("Now speak. Enter ends it.")
    dialogue.wait(seconds)
    return _points(dialogue, question, bet)


def recalled(dialogue: Dialogue, question: Question) -> Asked:
    """The same without the speech: the points are only named. Raises Ended."""
    dialogue.say(question.prompt)
    bet = _bet(dialogue)
    dialogue.ask("Which points does a good answer make? Name them, then Enter.")
    return _points(dialogue, question, bet)


def explain(dialogue: Dialogue, question: Question) -> None:
    """What to compare with."""
    dialogue.head(f"One way to say it\n\n{question.model_answer}\n\nThe trade-off: {question.trade_off}")
    dialogue.head("They may go on")
    for one in question.follow_ups:
        dialogue.say(one.ask, mark="  - ")
        dialogue.say(one.good, mark="    ")


def _bet(dialogue: Dialogue) -> int:
    return int(dialogue.choose("Your bet, 1 to 4?", "1234"))


def _points(dialogue: Dialogue, question: Question, bet: int) -> Asked:
    points = {str(number): point for number, point in enumerate(question.must_mention, 1)}
    dialogue.head("The points of a good answer")
    for number, point in points.items():
        dialogue.say(point, mark=f"{number:>3} ")
    prompt = "Which did you make? Their numbers, as 1 3; Enter for none."
    while not (made := set(dialogue.ask(prompt).replace(",", " ").split())) <= set(points):
        dialogue.say(f"Type numbers from 1 to {len(points)}, with spaces between.")
    return _scored(bet, len(made), len(points))


def _scored(bet: int, made: int, of: int) -> Asked:
    return Asked(time.time_ns() // 1_000_000, bet, made, of)


def _list(dialogue: Dialogue, points: Iterable[str]) -> None:
    for point in points:
        dialogue.say(point, mark="  - ")
