"""What is asked first."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbook.bank.due import due, known, placement, wrong
from workbook.progress import Asked


def times(*bets: tuple[int, int], at: int = 1) -> list[Asked]:
    """A card's answers: (bet, whether it was right)."""
    return [Asked(moment, bet, right, 1) for moment, (bet, right) in zip(count(at), bets, strict=False)]


HISTORY = {
    "right": times((4, 1)),
    "lucky": times((2, 1)),
    "wrong": times((1, 0)),
    "sure": times((3, 0)),
}


def test_sure_but_wrong_is_asked_first_and_what_is_known_last() -> None:
    order = ["sure", "wrong", "lucky", "new", "right"]
    assert due(sorted(order), HISTORY) == due(order[::-1], HISTORY) == order


@pytest.mark.parametrize(("bet", "right"), [(4, 1), (2, 1), (2, 0), (4, 0)])
def test_among_equals_the_oldest_is_asked_first(bet: int, right: int) -> None:
    history = {name: times((bet, right), at=at) for name, at in {"b": 20, "a": 30, "c": 10}.items()}
    assert due("abc", history) == ["c", "b", "a"]


def test_new_ones_are_asked_in_the_order_of_the_bank() -> None:
    assert due("cab", {}) == ["c", "a", "b"]
    assert due("cab", {"a": []}) == ["c", "a", "b"]


def test_only_the_last_answer_counts() -> None:
    history = {"mended": times((4, 0), (4, 0), (4, 1)), "lost": times((4, 1), (1, 0))}
    assert due(["mended", "new", "lost"], history) == ["lost", "new", "mended"]


def test_three_of_four_points_are_right_and_three_of_five_are_not() -> None:
    history = {"three of four": [Asked(1, 4, 3, 4)], "three of five": [Asked(2, 4, 3, 5)]}
    assert due(history, history) == ["three of five", "three of four"]
    assert wrong(history, history) == ["three of five"]


def test_what_was_never_asked_is_not_wrong() -> None:
    assert wrong(["new", *HISTORY], HISTORY) == ["sure", "wrong"]


answers = st.builds(Asked, st.integers(0, 9), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(answers, max_size=3)))
def test_nothing_is_asked_twice_or_forgotten(history: dict[str, list[Asked]]) -> None:
    assert sorted(due("abcdef", history)) == list("abcdef")


class TestPlacement:
    def cards(self, blocks: int) -> list[str]:
        return [f"d1.b{block}.q1.c{card}" for block in range(blocks) for card in range(3)]

    def test_nobody_is_asked_what_they_have_answered(self) -> None:
        cards = self.cards(2)
        assert placement(cards, {cards[0]: times((4, 1))}, 10) == cards[1:]
        assert placement(cards, dict.fromkeys(cards, times((1, 0))), 10) == []

    def test_a_few_blocks_give_several_each(self) -> None:
        assert placement(self.cards(2), {}, 3) == ["d1.b0.q1.c0", "d1.b0.q1.c1", "d1.b1.q1.c0"]

    def test_many_blocks_are_looked_at_from_the_first_to_the_last(self) -> None:
        chosen = placement(self.cards(8), {}, 4)
        assert chosen == [f"d1.b{block}.q1.c0" for block in (0, 2, 4, 6)]


def test_what_was_never_asked_counts_as_unknown() -> None:
    assert known(["right", "lucky", "sure", "new"], HISTORY) == 0.5
