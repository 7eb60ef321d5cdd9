"""The contract, for every exercise there is: untouched it is not attempted, its solution and every other right answer
is solved, and each known wrong answer is told what it is promised to be told."""

import re
from collections.abc import Iterator

import pytest

from workbook.check import State
from workbook.judge import Answer, Judge
from workbook.questions import questions_of
from workbook.source import Exercise, Source, Variant, sources

EXERCISES = [(source, exercise) for source in sources() for exercise in source.exercises.values()]
VARIANTS = [(source, exercise, variant) for source, exercise in EXERCISES for variant in exercise.variants]
BLOCKS = [source for source in sources() if source.path.parts[-2] != "start"]
LESSON, SPOKEN = 25, 6  # minutes: of a lesson, and of a question with the answer said and compared
NAMED = [exercise.id for _, exercise in EXERCISES]


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[str, Judge]]:
    """One kernel per source."""
    started: dict[str, Judge] = {}
    yield started
    for judge in started.values():
        judge.__exit__(None, None, None)


def judged(judges: dict[str, Judge], source: Source, exercise: Exercise, answer: str) -> tuple[State, str]:
    name = str(source.path)
    if name not in judges:
        judges[name] = Judge(source).__enter__()
    verdict = judges[name].judge(exercise, Answer([(answer, True)]))
    return verdict.state, verdict.message


@pytest.mark.parametrize(("source", "exercise"), EXERCISES, ids=NAMED)
def test_untouched_is_not_attempted(judges: dict[str, Judge], source: Source, exercise: Exercise) -> None:
    assert judged(judges, source, exercise, exercise.stub) == (State.NOT_ATTEMPTED, "")


@pytest.mark.parametrize(("source", "exercise"), EXERCISES, ids=NAMED)
def test_the_solution_is_solved(judges: dict[str, Judge], source: Source, exercise: Exercise) -> None:
    state, message = judged(judges, source, exercise, exercise.solution)
    assert state is State.SOLVED, message


@pytest.mark.parametrize(("source", "exercise", "variant"), VARIANTS, ids=[f"{e.id}-{v.name}" for _, e, v in VARIANTS])
def test_each_variant_is_told_what_it_is_promised(
    judges: dict[str, Judge], source: Source, exercise: Exercise, variant: Variant
) -> None:
    state, message = judged(judges, source, exercise, variant.source)
    if variant.says is None:
        assert state is State.SOLVED, message
    else:
        assert state is State.WRONG
        assert variant.says in message.splitlines()[0]


@pytest.mark.parametrize(("source", "exercise"), EXERCISES, ids=NAMED)
def test_it_has_two_wrong_answers_with_messages_of_their_own_and_a_right_one(
    source: Source, exercise: Exercise
) -> None:
    told = [variant.says for variant in exercise.variants if variant.says]
    assert len(told) >= 2
    assert len(set(told)) == len(told)
    assert any(variant.says is None for variant in exercise.variants)


@pytest.mark.parametrize(("source", "exercise"), EXERCISES, ids=NAMED)
def test_it_has_two_hints_and_none_holds_a_line_of_the_solution(source: Source, exercise: Exercise) -> None:
    text = "\n".join(c.source for c in source.cells if c.role == "text" and c.exercise == exercise.id)
    hints = text.partition("<details>")[2]
    assert text.count("<summary>Hint ") >= 2
    lines = [line.strip() for line in exercise.solution.splitlines() if line not in exercise.stub.splitlines()]
    assert [line for line in lines if len(line) > 8 and line in hints] == []


@pytest.mark.parametrize("source", BLOCKS, ids=[source.title for source in BLOCKS])
def test_the_core_of_a_block_is_varied_runs_anywhere_and_fits_two_hours(source: Source) -> None:
    core = [exercise for exercise in source.exercises.values() if exercise.weight == "core"]
    kinds = " ".join(exercise.kind for exercise in core)
    assert "implement" in kinds
    assert "repair" in kinds
    assert re.search("predict|estimate|draw", kinds)
    assert max(exercise.minutes for exercise in core) <= 12
    assert sum(exercise.needs == "nothing but Python" for exercise in core) >= 2
    spoken = [question for question in questions_of(source) if question.core]
    assert LESSON + sum(exercise.minutes for exercise in core) + SPOKEN * len(spoken) <= 120
