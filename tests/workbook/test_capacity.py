"""Drills: for every seed the right answers pass, also rounded, and each slip is told its own name."""

from decimal import Decimal
from fractions import Fraction

import pytest

from workbook.capacity import COUNTED, TOLERANCE, WHAT, Drill

SEEDS = range(60)


def told(drill: Drill, **answers: object) -> str:
    with pytest.raises(AssertionError) as refused:
        drill.judge({**drill.right, **answers})
    return str(refused.value)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_slip_is_named_and_no_other(seed: int) -> None:
    drill = Drill(seed)
    drill.judge(drill.right)
    for name, slips in drill.slips.items():
        for slip in slips:
            said = told(drill, **{name: slip.value})
            same = [other.says for other in slips if abs(other.value - slip.value) <= TOLERANCE / 4 * other.value]
            assert said in [f"{WHAT[name]}: {says}" for says in same]


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_rounding_as_one_speaks_is_right(factor: float) -> None:
    drill = Drill(3)
    drill.judge({name: right if name in COUNTED else factor * right for name, right in drill.right.items()})
    drill.judge({name: right * 86_400 / 100_000 if name == "average" else right for name, right in drill.right.items()})


def test_seeds_are_other_teams_and_a_seed_is_always_the_same() -> None:
    assert len({Drill(seed).worked for seed in SEEDS}) == len(SEEDS)
    assert Drill(1).facts == Drill(1).facts


def test_no_answer_is_not_attempted_and_a_missing_one_is_named() -> None:
    with pytest.raises(NotImplementedError):
        Drill(1).judge(dict.fromkeys(WHAT))
    assert told(Drill(1), days=None) == "still open: days until the disk is full"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *((given, "write a number") for given in ("12", True, float("nan"), float("inf"), Decimal("nan"))),
        *((given, "more than nothing") for given in (-1, 0)),
    ],
)
def test_what_is_no_such_number_is_refused(given: float, says: str) -> None:
    assert says in told(Drill(1), peak=given)


@pytest.mark.parametrize("kind", [Fraction, Decimal])
def test_any_kind_of_number_will_do(kind: type[Fraction | Decimal]) -> None:
    drill = Drill(1)
    drill.judge({name: kind(right) for name, right in drill.right.items()})


def test_of_what_is_counted_none_is_missing() -> None:
    drill = Drill(5)
    right = drill.right["connections"]
    drill.judge(drill.right | {"connections": 1.1 * right})
    assert "a little too few" in told(drill, connections=0.85 * right)
    assert "each worker opens one, too" in told(drill, connections=drill.servers * drill.pool)


def test_another_mistake_is_told_its_size() -> None:
    drill = Drill(1)
    assert "about 7 times too many" in told(drill, average=7 * drill.right["average"])
    assert "a little too few" in told(drill, average=0.7 * drill.right["average"])


def test_the_worked_solution_has_a_line_for_each_answer() -> None:
    drill = Drill(2)
    assert [line.split()[0] for line in drill.worked.split("\n")] == list(WHAT)
    assert drill.facts["points a day"] in drill._repr_markdown_()
