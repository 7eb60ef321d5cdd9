from workbook.plan import PLAN


def test_it_is_the_study_plan() -> None:
    """Four days, twenty blocks, and the minutes of its tables."""
    days = {day: [block for block in PLAN if block.startswith(f"d{day}.")] for day in range(5)}
    assert [len(days[day]) for day in range(5)] == [1, 5, 5, 6, 4]
    assert PLAN["d1.b3"].path == "day1-python-backend-db/03-database-schema"
    assert PLAN["d3.b5"].path == "day3-k8s-linux-ml/05-hpc-basics"
    assert [sum(PLAN[block].minutes[1] for block in days[day]) for day in (1, 2, 3, 4)] == [570, 510, 555, 270]
    assert all(fewest <= most for fewest, most in (planned.minutes for planned in PLAN.values()))
