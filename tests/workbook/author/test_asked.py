"""What interviews ask, and where a block says it."""

from typing import Any

import pytest

from workbook.author import asked

GOOD = "found: {s1: the larger, e1: clamp}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- asked: [", "asked.yaml is not YAML: "),
        ("asked: a", "asked.yaml: write a list of rows, each with `asked: a text` and `found: {place: words}`"),
        ("- asked: a", "asked.yaml: write a list of rows"),
        ("- {asked: a, found: {}}", "asked.yaml: write a list of rows"),
        ("- {asked: a, found: {s1: 409}}", "asked.yaml: write a list of rows"),
        ("- {asked: a, found: {s1: ' '}}", "asked.yaml: write a list of rows"),
        ("- {asked: a, found: {s9: b}}", "asked.yaml, a: there is no s9; there are s1, s2, "),
        ("- {asked: a, found: {q1.c99: b}}", "asked.yaml, a: there is no q1.c99; "),
        ("- {asked: a, found: {s2: the smaller}}", "asked.yaml, a: s2 does not say 'the smaller': mend one of them"),
    ],
)
def test_a_table_that_does_not_hold_says_what_to_mend(scratch: Any, text: str, says: str) -> None:
    (scratch.block.folder / asked.FILE).write_text(text)
    (found,) = asked.missing(scratch.block)
    assert found.startswith(says)


def test_a_block_without_one_is_told(scratch: Any) -> None:
    (scratch.block.folder / asked.FILE).unlink()
    assert list(asked.missing(scratch.block)) == [
        "asked.yaml is missing: list what interviews ask of this block, and where it is found"
    ]


def test_words_are_found_in_their_own_place_only(scratch: Any) -> None:
    assert list(asked.missing(scratch.block)) == []
    scratch.edit("lesson.md", "**The rule:** the larger.", "**The rule:**\nTHE\nLarger.")
    assert list(asked.missing(scratch.block)) == []
    scratch.edit("asked.yaml", "s1: the larger", "s2: Two questions first")
    assert [found[:25] for found in asked.missing(scratch.block)] == ["asked.yaml, The larger of"]


def test_a_question_and_its_cards_are_places(scratch: Any) -> None:
    assert {"s1", "s2", "e1", "e2", "q1", "q1.c1", "q2"} <= set(asked.places(scratch.block))
