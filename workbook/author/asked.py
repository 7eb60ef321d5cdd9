"""What interviews ask of a block, and where a reader finds it: the file `asked.yaml` beside the lesson.

    - asked: Comprehension, generator, or loop; what can be read only once
      found: {s1: generator, e1: Counter, q2: read twice, q1.c2: __exit__}

A place is a section of the lesson (s1), an exercise (e1), a question (q1) or one of its cards (q1.c2). With it stands
what that place says of the matter, word for word, so that a table which no longer holds is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from ..bank.questions import QuestionError, questions_of
from ..strict import StrictLoader
from .block import Block

FILE = "asked.yaml"
HEADINGS = {"lesson.md": ("s", r"^## (\d+) · "), "exercises.md": ("e", r"^## d\d\.b\d\.e(\d+) · ")}


def missing(block: Block) -> Iterator[str]:
    """What the table says and the block does not. Each sentence says what to mend."""
    try:
        rows = yaml.load((block.folder / FILE).read_text(), StrictLoader)
    except FileNotFoundError:
        yield f"{FILE} is missing: list what interviews ask of this block, and where it is found"
        return
    except yaml.YAMLError as error:
        yield f"{FILE} is not YAML: {' '.join(str(error).split())}"
        return
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        yield f"{FILE}: write a list of rows, each with `asked: a text` and `found: {{place: words}}`"
        return
    there = places(block)
    for row in rows:
        for place, words in row["found"].items():
            if place not in there:
                yield f"{FILE}, {row['asked']}: there is no {place}; there are {', '.join(there)}"
            elif _plain(words) not in _plain(there[place]):
                yield f"{FILE}, {row['asked']}: {place} does not say {words!r}: mend one of them"


def places(block: Block) -> dict[str, str]:
    """The places of a block, and what stands there."""
    found = {}
    for file, (letter, heading) in HEADINGS.items():
        if (block.folder / file).exists():
            _, *parts = re.split(heading, (block.folder / file).read_text(), flags=re.MULTILINE)
            for number, text in zip(parts[::2], parts[1::2], strict=True):
                found[f"{letter}{number}"] = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    try:
        questions = questions_of(block.source)
    except QuestionError:  # which is told elsewhere
        return found
    for question in questions:
        name = question.id.rpartition(".")[2]
        said = (question.prompt, *question.ask_first, *question.must_mention, question.model_answer, question.trade_off)
        said += (*question.red_flags, *(f"{one.ask} {one.good}" for one in question.follow_ups))
        said += tuple(text for probes in question.probes.values() for text in probes.values())
        found[name] = "\n".join(said)
        for number, card in enumerate(question.cards, 1):
            found[f"{name}.c{number}"] = f"{card.front} {card.back}"
    return found


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and set(row) == {"asked", "found"}
        and isinstance(row["asked"], str)
        and isinstance(row["found"], dict)
        and bool(row["found"])
        and all(isinstance(words, str) and words.strip() for words in row["found"].values())
    )


def _plain(text: str) -> str:
    """Without the line breaks of a source, and whether letters are capitals."""
    return " ".join(text.split()).lower()
