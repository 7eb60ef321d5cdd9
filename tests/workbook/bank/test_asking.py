"""What is asked, and what is made of the answers."""

import io

import pytest

from workbook.bank.asking import card, explain, recalled, spoken
from workbook.bank.dialogue import Dialogue, Ended
from workbook.bank.questions import Card, questions_of
from workbook.source import sources

QUESTION = next(question for source in sources() for question in questions_of(source) if question.id == "d1.b3.q1")
CARD = Card("What first?", "Measure.")


def dialogue(*answers: str) -> tuple[Dialogue, io.StringIO]:
    said = io.StringIO()
    return Dialogue(io.StringIO("".join(f"{answer}\n" for answer in answers)), said, width=1000), said


class TestCard:
    def test_the_back_is_shown_to_nobody_who_has_not_bet(self) -> None:
        this, said = dialogue("", "0", "certain")
        with pytest.raises(Ended):
            card(this, CARD)
        assert CARD.front in said.getvalue()
        assert CARD.back not in said.getvalue()

    @pytest.mark.parametrize(("answer", "made"), [("y", 1), ("n", 0)])
    def test_it_is_scored_by_whoever_answered(self, answer: str, made: int) -> None:
        asked = card(dialogue("3", answer)[0], CARD)
        assert (asked.bet, asked.made, asked.of) == (3, made, 1)
        assert asked.at > 1_700_000_000_000  # ms since 1970


class TestQuestion:
    def test_the_points_are_shown_to_nobody_who_has_not_spoken(self) -> None:
        this, said = dialogue("", "4")
        with pytest.raises(Ended):
            spoken(this, QUESTION, 120)
        assert all(text in said.getvalue() for text in (QUESTION.prompt, *QUESTION.ask_first))
        assert not any(point in said.getvalue() for point in QUESTION.must_mention)

    def test_what_to_ask_back_is_thought_of_first(self) -> None:
        this, said = dialogue()
        with pytest.raises(Ended):
            spoken(this, QUESTION, 120)
        assert not any(text in said.getvalue() for text in QUESTION.ask_first)

    @pytest.mark.parametrize(("ticks", "made"), [("1 3 4", 3), ("", 0), ("1,2", 2), ("2 2 2", 1), (" 5, 1 ,2 3 4", 5)])
    def test_its_points_are_counted(self, ticks: str, made: int) -> None:
        asked = spoken(dialogue("", "2", "", ticks)[0], QUESTION, 120)
        assert (asked.bet, asked.made, asked.of) == (2, made, 5)

    @pytest.mark.parametrize("ticks", ["6", "0", "134", "1 3 x", "-1", "²", "all"])
    def test_what_is_no_point_is_asked_again(self, ticks: str) -> None:
        this, said = dialogue("", "2", "", ticks, "1")
        assert spoken(this, QUESTION, 120).made == 1
        assert "Type numbers from 1 to 5, with spaces between." in said.getvalue()

    def test_recalling_needs_no_clock(self) -> None:
        this, said = dialogue("4", "", "1 2 3 4")
        assert recalled(this, QUESTION).made == 4
        assert not any(text in said.getvalue() for text in QUESTION.ask_first)

    def test_afterwards_all_is_there_to_compare(self) -> None:
        this, said = dialogue()
        explain(this, QUESTION)
        text = " ".join(said.getvalue().split())
        follow_ups = [one for asked in QUESTION.follow_ups for one in (asked.ask, asked.good)]
        for part in (QUESTION.model_answer, QUESTION.trade_off, *follow_ups):
            assert " ".join(part.split()) in text
