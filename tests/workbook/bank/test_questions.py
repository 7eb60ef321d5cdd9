import json
from pathlib import Path

import pytest

from workbook.bank import questions
from workbook.bank.questions import Card, Figure, FollowUp, QuestionError, read
from workbook.source import sources

BLOCK = next(source for source in sources() if "d1.b3.e1" in source.exercises)
GOOD = f"""
- id: d1.b3.q1
  core: true
  prompt: What do you do?
  ask_first:
    - Who needs it?
  must_mention:
    - one
    - two
    - three
  model_answer: >-
    It took 800 milliseconds, and {"now " * 120}it is 1.2 million rows.
  trade_off: This for that.
  red_flags:
    - guesses
    - shrugs
  follow_ups:
    - ask: And then?
      good: That.
  levels:
    junior: Some.
    senior: Most.
    staff: All.
  probes:
    d1.b3.e3:
      skips-nan: What does the page show?
  cards:
    - front: What first?
      back: Measure.
  sheet: "Measure first: 800 ms."
  numbers:
    - says: 800 milliseconds
      source: results.json
      figure: [slow, ms]
    - says: 800 ms
      source: results.json
      figure: [slow, ms]
    - says: 1.2 million rows
      source: results.json
      figure: [rows]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the block's questions stand, in a repository with one file of results."""
    monkeypatch.setattr(questions, "ROOT", tmp_path)
    (tmp_path / "results.json").write_text(json.dumps({"slow": {"ms": 812.3}, "rows": 1_200_000}))
    folder = tmp_path / "day1-x" / "03-y"
    folder.mkdir(parents=True)
    return folder / "questions.yaml"


def test_a_question_is_read(file: Path) -> None:
    file.write_text(GOOD)
    (question,) = read(file, BLOCK)
    assert (question.id, question.core, question.prompt) == ("d1.b3.q1", True, "What do you do?")
    assert (question.ask_first, question.must_mention) == (("Who needs it?",), ("one", "two", "three"))
    assert question.model_answer.startswith("It took 800 milliseconds, and now now")
    assert (question.trade_off, question.red_flags) == ("This for that.", ("guesses", "shrugs"))
    assert question.follow_ups == (FollowUp("And then?", "That."),)
    assert question.levels == {"junior": "Some.", "senior": "Most.", "staff": "All."}
    assert question.probes == {"d1.b3.e3": {"skips-nan": "What does the page show?"}}
    assert question.cards == (Card("What first?", "Measure."),)
    assert question.cards[0].line == "- What first? **Measure.**"
    assert question.sheet == "Measure first: 800 ms."
    assert question.numbers[0] == Figure("800 milliseconds", "results.json", ("slow", "ms"))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("  prompt: What do you do?\n", "", "d1.b3.q1: its fields: prompt is missing"),
        ("  trade_off:", "  tradeoff:", "d1.b3.q1: its fields: trade_off is missing"),
        ("  sheet:", "  hint: no\n  sheet:", "d1.b3.q1: its fields: there is no 'hint', only id, core"),
        ("d1.b3.q1", "d1.b4.q1", "d1.b4.q1: in this folder an id has the form 'd1.b3.q1'"),
        ("d1.b3.q1", "3", "question 1: in this folder an id has the form 'd1.b3.q1'"),
        ("core: true", "core: maybe", "core is true or false"),
        ("prompt: What do you do?", "prompt: 12", "prompt: write a text"),
        ("prompt: What do you do?", "prompt: ' '", "prompt: write a text"),
        ("    - Who needs it?", "    []", "ask_first: it has 0, write at least 1"),
        ("    - three\n", "", "must_mention: it has 2, write at least 3"),
        ("    - shrugs\n", "", "red_flags: it has 1, write at least 2"),
        ("    - three", "    - [three]", "must_mention: write a text"),
        ("    - guesses\n    - shrugs", "    guesses", "red_flags: write a list, not 'guesses'"),
        ("and now", "and", "its model_answer has 129 words; 130 to 280 can be spoken"),
        ("and now", "and" + " now" * 152, "its model_answer has 281 words; 130 to 280 can be spoken"),
        ("      good: That.\n", "", "follow_ups: good is missing"),
        ("    - ask: And then?\n      good: That.", "    []", "at least one of follow_ups and one of cards"),
        ("    - front: What first?\n      back: Measure.", "    []", "at least one of follow_ups and one of cards"),
        ("    staff: All.\n", "", "levels: staff is missing"),
        ("    staff: All.", "    chief: All.", "levels: staff is missing"),
        ("    staff: All.", "    staff: 7", "levels: write a text"),
        ("      skips-nan: What does", "      - What does", "probes: write 'name: text' lines"),
        ("    d1.b3.e3:", "    d1.b3.e9:", "probes: there is no exercise d1.b3.e9"),
        ("skips-nan:", "skips:", "probes: d1.b3.e3 has no wrong answer 'skips', only key-in-where, "),
        ("skips-nan:", "limit-one-per-curve:", "has no wrong answer 'limit-one-per-curve'"),
        ("back: Measure.", f"back: {'x' * 83}", "shorten by 1, to be one line of the sheet"),
        ("sheet: ", f"sheet: {'x' * 99} #", "shorten by 1, to be one line of the sheet"),
        ("It took 800 milliseconds", "It took 900 milliseconds", "nobody says '800 milliseconds'; take it out"),
        ("It took 800 milliseconds", "It took 1,800 milliseconds", "nobody says '800 milliseconds'; take it out"),
        ("It took", "In 12 ms? It took", "where does '12 ms' come from? Name its file, or do not say it"),
        ("source: results.json", "source: other.json", "other.json is no results file"),
        ("source: results.json", "source: day1-x", "day1-x is no results file"),
        ("[slow, ms]", "[slow, us]", "slow > us in results.json is no number"),
        ("[slow, ms]", "[slow]", "slow in results.json is no number"),
        ("[rows]", "[rows, ms]", "rows > ms in results.json is no number"),
        ("1.2 million rows", "1.4 million rows", "it says '1.4 million rows', and results.json says 1200000"),
        ("says: 1.2 million rows", "says: rows", "'rows' or rows in results.json is no number"),
        ("  core: true", "  core: true\n  core: false", "this is not YAML: 'core' is there twice"),
        ("prompt: What", "prompt: a: What", "this is not YAML: mapping values are not allowed here"),
        (GOOD, "id: d1.b3.q1", "write a list of questions, each beginning with '- id:'"),
        (GOOD, "", "write a list of questions"),
        (GOOD, "- d1.b3.q1", "question 1: its fields: write 'name: text' lines, not 'd1.b3.q1'"),
        (GOOD, GOOD + GOOD, "d1.b3.q1 is there twice: give each question a number of its own"),
    ],
)
def test_a_question_out_of_form_is_told_what_to_mend(file: Path, before: str, after: str, says: str) -> None:
    assert before in GOOD
    file.write_text(GOOD.replace(before, after))
    with pytest.raises(QuestionError) as refused:
        read(file, BLOCK)
    assert str(refused.value).startswith(f"{file}: ")
    assert says in str(refused.value)


def test_a_longer_number_does_not_count_as_the_figure(file: Path) -> None:
    file.write_text(GOOD.replace('sheet: "Measure first: 800 ms."', "sheet: 'Measure: 800 ms, not 1.800 ms.'"))
    with pytest.raises(QuestionError, match=r"where does '1.800 ms' come from"):
        read(file, BLOCK)
