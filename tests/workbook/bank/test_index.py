"""The bank, by its ids."""

import pytest

from workbook.bank.index import Bank, bank, block_of
from workbook.bank.questions import questions_of
from workbook.source import sources


def test_every_question_and_card_has_an_id() -> None:
    found = bank(sources())
    bankable = [question for source in sources() for question in questions_of(source)]
    assert list(found.questions.values()) == bankable
    assert list(found.cards.values()) == [card for question in bankable for card in question.cards]
    assert found.cards["d1.b3.q1.c2"] == found.questions["d1.b3.q1"].cards[1]
    assert found.titles["d1.b3"] == "1.3 · Database schema"


class TestPart:
    @pytest.fixture
    def two(self) -> Bank:
        """A second block, on the second day."""
        found = bank(sources())
        question, card = found.questions["d1.b3.q1"], found.cards["d1.b3.q1.c1"]
        return Bank({"d1.b3.q1": question, "d2.b1.q1": question}, {"d2.b1.q1.c1": card}, {"d1.b3": "a", "d2.b1": "b"})

    @pytest.mark.parametrize("name", ["d7", "d1.b9", "d1.b3.q1", "1.3", "d", ""])
    def test_what_is_no_block_is_refused(self, two: Bank, name: str) -> None:
        with pytest.raises(LookupError) as refused:
            two.of(["d1.b3", name])
        assert refused.value.args == (name,)

    def test_it_is_that_of_a_block_or_a_day(self, two: Bank) -> None:
        for names in (["d2.b1"], ["d2"], ["d2", "d2.b1"]):
            part = two.of(names)
            assert [*part.questions, *part.cards, *part.titles] == ["d2.b1.q1", "d2.b1.q1.c1", "d2.b1"]
        assert two.of(["d2", "d1"]) == two


def test_an_id_tells_its_block() -> None:
    assert block_of("d1.b3.q12.c2") == block_of("d1.b3.q1") == "d1.b3"
