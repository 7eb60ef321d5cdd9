"""Curves, whole and in buckets; the buckets against the same sums done in Python."""

import math
from fractions import Fraction
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from tracker.server import problem
from tracker.server.schema import Metric, Run
from tracker.server.store import curves, experiments, points, runs
from tracker.values import MAX_INTEGER


@pytest.fixture
def metric(session: Session, run: Run) -> Metric:
    """Even steps from 100 to 1998, with a spike, a dip and a NaN, and many values twice. Another curve is higher."""
    values = {step: round(math.sin(step / 100), 1) for step in range(100, 2000, 2)}
    values |= {500: 99.0, 1502: -99.0, 700: math.nan}
    points.add_points(session, run.id, [("loss", s, v, s) for s, v in values.items()], at=0)
    points.add_points(session, run.id, [("speed", s, 1000.0, s) for s in values], at=0)
    return curves.get_metric(session, run.id, "loss")


def test_one_that_is_not_there_is_refused(session: Session, run: Run) -> None:
    with pytest.raises(problem.NotFound, match="no run 8"):
        curves.get_metric(session, 8, "loss")
    with pytest.raises(problem.NotFound, match="has logged no 'loss'"):
        curves.get_metric(session, run.id, "loss")


def test_as_many_points_as_allowed_come_whole(session: Session, metric: Metric) -> None:
    whole = curves.read_curve(session, metric, at_most=950)
    assert whole["sampled"] is False
    assert whole["steps"] == list(range(100, 2000, 2))
    assert curves.read_curve(session, metric, at_most=949)["sampled"] is True


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [(200, 206, [200, 202, 204, 206]), (201, 203, [202]), (1996, None, [1996, 1998]), (None, 99, []), (5000, None, [])],
)
def test_both_ends_of_a_range_are_included(
    session: Session, metric: Metric, start: int | None, end: int | None, steps: list[int]
) -> None:
    assert curves.read_curve(session, metric, start=start, end=end, at_most=100)["steps"] == steps


@pytest.mark.parametrize("at_most", [1, 2, 7, 100, 949])
def test_buckets_keep_every_spike_and_count_every_point(session: Session, metric: Metric, at_most: int) -> None:
    found = curves.read_curve(session, metric, at_most=at_most)
    assert len(found["first"]) <= at_most
    assert (max(found["max"]), min(found["min"])) == (99.0, -99.0)
    assert (sum(found["count"]), sum(found["nans"])) == (950, 1)
    assert (found["first"][0], found["last"][-1]) == (100, 1998)


def test_nothing_beyond_the_range_is_in_a_bucket(session: Session, metric: Metric) -> None:
    """Not even where the last bucket is wider than what is left of the range."""
    found = curves.read_curve(session, metric, start=200, end=1000, at_most=7)
    assert (found["first"][0], found["last"][-1], sum(found["count"])) == (200, 1000, 401)


STEP = st.integers(0, 50) | st.integers(0, MAX_INTEGER)
VALUES = st.dictionaries(STEP, st.just(math.nan) | st.floats(), min_size=5, max_size=50)


def in_buckets(values: dict[int, float], at_most: int) -> dict[str, list[Any]]:
    """The oracle: ranges of steps of equal width, and what is in each."""
    first, last = min(values), max(values)
    width = math.ceil(Fraction(last - first + 1, at_most))
    columns: dict[str, list[Any]] = {name: [] for name in ("first", "last", "count", "nans", "min", "max")}
    for _, group in groupby(sorted(values), lambda step: (step - first) // width):
        steps = list(group)
        numbers = [values[step] for step in steps if not math.isnan(values[step])]
        row = [steps[0], steps[-1], len(steps), len(steps) - len(numbers)]
        for name, figure in zip(columns, [*row, min(numbers, default=None), max(numbers, default=None)], strict=True):
            columns[name].append(figure)
    return columns


@given(values=VALUES, start=st.none() | STEP, end=st.none() | STEP, at_most=st.integers(1, 9))
def test_buckets_are_what_python_makes_of_the_points(
    fresh: Any, values: dict[int, float], start: int | None, end: int | None, at_most: int
) -> None:
    with fresh() as session:
        run, _ = runs.create_run(session, experiments.create_experiment(session, "e", "", at=0).id, at=0)
        points.add_points(session, run.id, [("a", s, v, 0) for s, v in values.items()], at=0)
        metric = curves.get_metric(session, run.id, "a")
        found = curves.read_curve(session, metric, start=start, end=end, at_most=at_most)
    inside = {s: v for s, v in values.items() if (start is None or start <= s) and (end is None or s <= end)}
    assert found["sampled"] == (len(inside) > at_most)
    if found["sampled"]:
        expected = in_buckets(inside, at_most)
        assert {name: found[name] for name in expected} == expected
    else:
        assert found["steps"] == sorted(inside)
        # As text, in which NaN equals itself; no zero has a sign.
        assert [str(value) for value in found["values"]] == [str(inside[step] + 0.0) for step in sorted(inside)]


def test_a_window_costs_what_it_shows_not_what_the_curve_has(session: Session, run: Run) -> None:
    """Counted in SQLite's instructions, or in the rows that PostgreSQL reads; ten times the history, on any side,
    may not cost twice as much."""
    postgres = session.get_bind().dialect.name == "postgresql"
    rows = "SELECT coalesce(seq_tup_read, 0) + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'points'"

    def work(history: int, start: int) -> int:
        key = f"h{history}"
        for begin in range(0, history, 10_000):
            batch = [(key, s, 0.0, 0) for s in range(begin, begin + 10_000)]
            points.add_points(session, run.id, batch, at=0)
        metric = curves.get_metric(session, run.id, key)
        if postgres:
            before = session.execute(text(rows)).scalar_one()
            curves.read_curve(session, metric, start=start, end=start + 999, at_most=50)
            counted: int = session.execute(text(rows)).scalar_one() - before
            return counted
        ticks: list[int] = []
        connection: Any = session.connection().connection.driver_connection
        connection.set_progress_handler(lambda: ticks.append(1), 100)
        curves.read_curve(session, metric, start=start, end=start + 999, at_most=50)
        connection.set_progress_handler(None, 0)
        return len(ticks)

    short = work(10_000, 5000)
    assert short > 0
    assert work(100_000, 5000) < 2 * short
    assert work(100_000, 95_000) < 2 * short


def test_a_comparison_has_each_run_in_its_place(session: Session, run: Run, metric: Metric) -> None:
    silent, _ = runs.create_run(session, run.experiment_id, name="silent", at=0)
    found = curves.compare(session, [silent.id, run.id], "loss", at_most=2)
    assert [(c["run"], c["name"], c["experiment"]) for c in found] == [
        (silent.id, "silent", "digits"),
        (run.id, run.name, "digits"),
    ]
    assert found[0]["curve"] is None
    assert found[1]["curve"] == curves.read_curve(session, metric, at_most=2)
    with pytest.raises(problem.NotFound, match="no run 99"):
        curves.compare(session, [run.id, 99], "loss", at_most=2)


def test_ping_asks_the_database(session: Session) -> None:
    curves.ping(session)
    session.execute(text("ALTER TABLE experiments RENAME TO elsewhere"))
    with pytest.raises(Exception, match="no such table|does not exist"):
        curves.ping(session)
