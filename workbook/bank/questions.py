"""The bank of spoken questions: `questions.yaml` beside a block's exercises, a list of them.

    id            d1.b3.q1: day 1, block 3, question 1
    core          whether it belongs to the block's minutes
    prompt        what the interviewer says
    ask_first     what a good candidate asks back
    must_mention  the points of a good answer; a candidate ticks them
    model_answer  one way to say it, of a length that is spoken in one to two minutes
    trade_off     what the answer gains and what it pays, in a sentence
    red_flags     what an interviewer would worry about
    follow_ups    `ask`, and what a `good` answer has
    levels        what to expect of `junior`, `senior` and `staff`
    probes        exercise -> the name of a wrong answer -> the question for whoever gave it
    cards         `front` and `back`, atomic: 20 seconds
    sheet         the question's line on the day's cheat sheet
    numbers       each figure that is spoken: what it `says`, the kept results (`source`) and the `figure` in them

A figure comes from a results file of this repository or is not spoken: one with a unit that `numbers` lacks is refused,
and so is one that is no longer what the file says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from ..source import ROOT, Source, SourceError
from ..strict import StrictLoader

WORDS = range(130, 281)  # of a model answer: one to two minutes aloud
LINE = 100  # characters of a line on the sheet, as wide as a printed page
ROUNDING = 0.05  # how far a spoken figure may be from the kept one
LEVELS = ("junior", "senior", "staff")
UNIT = r"(?:ms|milliseconds?|microseconds?|seconds?|bytes|kB|MB|GB|times|percent|%)"
_FIGURE = re.compile(rf"\d[\d,.]*(?: (?:thousand|million|billion))? ?{UNIT}(?!\w)")
_NUMBER = re.compile(r"(\d[\d,]*(?:\.\d+)?)(?: (thousand|million|billion))?")
_POWER = {"": 1.0, "thousand": 1e3, "million": 1e6, "billion": 1e9}


class QuestionError(SourceError):
    """A question that does not keep to the form; the text says where and what to mend."""


@dataclass(frozen=True)
class FollowUp:
    """What an interviewer asks next, and what a good answer has."""

    ask: str
    good: str


@dataclass(frozen=True)
class Card:
    """One fact, to be asked from either side."""

    front: str
    back: str

    @property
    def line(self) -> str:
        """As it stands on the sheet."""
        return f"- {self.front} **{self.back}**"


@dataclass(frozen=True)
class Figure:
    """A figure as it is spoken, and where it was measured: the names that lead to it in a JSON file."""

    says: str
    source: str
    figure: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One question of the bank; the fields are those of the file."""

    id: str
    core: bool
    prompt: str
    ask_first: tuple[str, ...]
    must_mention: tuple[str, ...]
    model_answer: str
    trade_off: str
    red_flags: tuple[str, ...]
    follow_ups: tuple[FollowUp, ...]
    levels: Mapping[str, str]
    probes: Mapping[str, Mapping[str, str]]
    cards: tuple[Card, ...]
    sheet: str
    numbers: tuple[Figure, ...]


def questions_of(source: Source) -> tuple[Question, ...]:
    """The questions beside this source; none if it has none. Raises QuestionError."""
    file = (source.root / source.path).with_name("questions.yaml")
    return read(file, source) if file.exists() else ()


def read(file: Path, source: Source) -> tuple[Question, ...]:
    """One file of the bank. Raises QuestionError."""
    try:
        entries = yaml.load(file.read_text(), StrictLoader)
    except yaml.YAMLError as error:
        raise QuestionError(f"{file}: this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, list) or not entries:
        raise QuestionError(f"{file}: write a list of questions, each beginning with '- id:'")
    questions = tuple(_Entry(file, number, source).question(entry) for number, entry in enumerate(entries, 1))
    ids = [question.id for question in questions]
    for twice in {one for one in ids if ids.count(one) > 1}:
        raise QuestionError(f"{file}: {twice} is there twice: give each question a number of its own")
    return questions


class _Entry:
    """Reads one entry of a file, and knows where it is when something is wrong with it."""

    def __init__(self, file: Path, number: int, source: Source) -> None:
        self._file, self._exercises = file, source.exercises
        self._name = f"question {number}"

    def question(self, entry: Any) -> Question:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            self._name = entry["id"]
        found = self.named(entry, "its fields", [field.name for field in fields(Question)])
        block = re.search(r"day(\d)-[^/]*/0?(\d+)-[^/]*$", self._file.parent.as_posix())
        if block and not re.fullmatch(rf"d{block[1]}\.b{block[2]}\.q\d+", str(found["id"])):
            raise self.wrong(f"in this folder an id has the form 'd{block[1]}.b{block[2]}.q1'")
        if not isinstance(found["core"], bool):
            raise self.wrong("core is true or false")
        question = Question(
            id=self.text(found["id"], "id"),
            core=found["core"],
            prompt=self.text(found["prompt"], "prompt"),
            ask_first=self.texts(found["ask_first"], "ask_first", at_least=1),
            must_mention=self.texts(found["must_mention"], "must_mention", at_least=3),
            model_answer=self.text(found["model_answer"], "model_answer"),
            trade_off=self.text(found["trade_off"], "trade_off"),
            red_flags=self.texts(found["red_flags"], "red_flags", at_least=2),
            follow_ups=tuple(FollowUp(**one) for one in self.each(found["follow_ups"], "follow_ups", "ask", "good")),
            levels=self.all_texts(self.named(found["levels"], "levels", LEVELS), "levels"),
            probes={
                self.text(exercise, "probes"): self.all_texts(self.mapping(asked, "probes"), "probes")
                for exercise, asked in self.mapping(found["probes"], "probes").items()
            },
            cards=tuple(Card(**one) for one in self.each(found["cards"], "cards", "front", "back")),
            sheet=self.text(found["sheet"], "sheet"),
            numbers=tuple(self.number(one) for one in self.sequence(found["numbers"], "numbers")),
        )
        self.judge(question)
        return question

    def judge(self, question: Question) -> None:
        """What a form cannot say."""
        length = len(question.model_answer.split())
        if length not in WORDS:
            raise self.wrong(f"its model_answer has {length} words; {WORDS[0]} to {WORDS[-1]} can be spoken")
        if not question.follow_ups or not question.cards:
            raise self.wrong("it has at least one of follow_ups and one of cards")
        for line in [f"- {question.sheet}", *(card.line for card in question.cards)]:
            if len(line) > LINE or "\n" in line:
                raise self.wrong(f"shorten by {len(line) - LINE}, to be one line of the sheet: {line!r}")
        for exercise, asked in question.probes.items():
            if exercise not in self._exercises:
                raise self.wrong(f"probes: there is no exercise {exercise}")
            wrong = [v.name for v in self._exercises[exercise].variants if v.says]
            for name in asked.keys() - set(wrong):
                raise self.wrong(f"probes: {exercise} has no wrong answer {name!r}, only {', '.join(wrong)}")
        said = " ".join("\n".join([question.model_answer, question.sheet, *(c.line for c in question.cards)]).split())
        for figure in question.numbers:
            if not re.search(rf"(?<![\d.,]){re.escape(figure.says)}(?![\d\w])", said):
                raise self.wrong(f"numbers: nobody says {figure.says!r}; take it out, or mend it")
            self.compare(figure)
        for spoken in _FIGURE.findall(said):
            if spoken not in {figure.says for figure in question.numbers}:
                raise self.wrong(f"numbers: where does {spoken!r} come from? Name its file, or do not say it")

    def compare(self, figure: Figure) -> None:
        """A spoken figure with the one that was kept."""
        file, number = ROOT / figure.source, _NUMBER.search(figure.says)
        if file.suffix != ".json" or not file.is_file():
            raise self.wrong(f"numbers: {figure.source} is no results file (.json) of this repository")
        kept = json.loads(file.read_text())
        for name in figure.figure:
            kept = kept.get(name) if isinstance(kept, dict) else None
        if not number or not isinstance(kept, int | float):
            raise self.wrong(f"numbers: {figure.says!r} or {' > '.join(figure.figure)} in {figure.source} is no number")
        spoken = float(number[1].replace(",", "")) * _POWER[number[2] or ""]
        if abs(spoken - kept) > ROUNDING * abs(kept):
            raise self.wrong(f"numbers: it says {figure.says!r}, and {figure.source} says {kept}")

    def number(self, entry: Any) -> Figure:
        found = self.named(entry, "numbers", ["says", "source", "figure"])
        says, source = self.text(found["says"], "says"), self.text(found["source"], "source")
        return Figure(says, source, self.texts(found["figure"], "figure", at_least=1))

    def each(self, value: Any, what: str, *names: str) -> list[dict[str, str]]:
        return [self.all_texts(self.named(one, what, names), what) for one in self.sequence(value, what)]

    def named(self, value: Any, what: str, names: Sequence[str]) -> dict[str, Any]:
        """A mapping of just these names."""
        found = self.mapping(value, what)
        for name in names:
            if name not in found:
                raise self.wrong(f"{what}: {name} is missing")
        for name in found:
            if name not in names:
                raise self.wrong(f"{what}: there is no {name!r}, only {', '.join(names)}")
        return found

    def mapping(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong(f"{what}: write 'name: text' lines, not {value!r:.60}")
        return value

    def sequence(self, value: Any, what: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.wrong(f"{what}: write a list, not {value!r:.60}")
        return value

    def all_texts(self, found: dict[str, Any], what: str) -> dict[str, str]:
        return {self.text(name, what): self.text(value, what) for name, value in found.items()}

    def texts(self, value: Any, what: str, *, at_least: int) -> tuple[str, ...]:
        found = tuple(self.text(one, what) for one in self.sequence(value, what))
        if len(found) < at_least:
            raise self.wrong(f"{what}: it has {len(found)}, write at least {at_least}")
        return found

    def text(self, value: Any, what: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f"{what}: write a text (in quotes if it could be a number or has a colon), not {value!r}")
        return value.strip()

    def wrong(self, what: str) -> QuestionError:
        return QuestionError(f"{self._file}: {self._name}: {what}")
