"""Curves, whole and in buckets; the buckets against the same sums done in Python."""

import math
import random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tracker.server import problem
from tracker.server.schema import Metric, Run
from tracker.server.store import curves, points, runs


@pytest.fixture
def metric(session: Session, run: Run) -> Metric:
    """Even steps from 100 to 1998, with a spike, a dip and a NaN."""
    values = {step: math.sin(step / 100) for step in range(100, 2000, 2)} | {500: 99.0, 1502: -99.0, 700: math.nan}
    points.add_points(session, run.id, [("loss", s, v, s) for s, v in values.items()], at=0)
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


@pytest.mark.parametrize("seed", range(20))
def test_buckets_are_what_python_makes_of_the_points(session: Session, run: Run, seed: int) -> None:
    rng = random.Random(seed)
    steps = sorted(rng.sample(range(500), rng.randrange(10, 200)))
    values = {step: rng.choice([math.nan, math.inf, -math.inf, rng.random()]) for step in steps}
    points.add_points(session, run.id, [("a", s, v, 0) for s, v in values.items()], at=0)
    start, end, at_most = rng.randrange(100), rng.randrange(400, 600), rng.randrange(1, 9)
    found = curves.read_curve(session, curves.get_metric(session, run.id, "a"), start=start, end=end, at_most=at_most)
    inside = [step for step in steps if start <= step <= end]
    width = math.ceil((inside[-1] - inside[0] + 1) / at_most)
    buckets: dict[int, list[int]] = {}
    for step in inside:
        buckets.setdefault((step - inside[0]) // width, []).append(step)
    expected: dict[str, list[Any]] = {name: [] for name in ("first", "last", "count", "nans", "min", "max")}
    for members in buckets.values():
        numbers = [values[s] for s in members if not math.isnan(values[s])]
        row = (members[0], members[-1], len(members), len(members) - len(numbers))
        for name, figure in zip(expected, (*row, min(numbers, default=None), max(numbers, default=None)), strict=True):
            expected[name].append(figure)
    assert {name: found[name] for name in expected} == expected


def test_a_window_costs_what_it_shows_not_what_the_curve_has(session: Session, run: Run) -> None:
    """Counted in SQLite's own instructions; ten times the history may not cost twice as much."""

    def work(history: int) -> int:
        key = f"h{history}"
        for start in range(0, history, 10_000):
            batch = [(key, s, 0.0, 0) for s in range(start, start + 10_000)]
            points.add_points(session, run.id, batch, at=0)
        metric = curves.get_metric(session, run.id, key)
        ticks: list[int] = []
        connection: Any = session.connection().connection.driver_connection
        connection.set_progress_handler(lambda: ticks.append(1), 100)
        curves.read_curve(session, metric, start=5000, end=5999, at_most=50)
        connection.set_progress_handler(None, 0)
        return len(ticks)

    assert work(100_000) < 2 * work(10_000)


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
    with pytest.raises(Exception, match="no such table"):
        curves.ping(session)
