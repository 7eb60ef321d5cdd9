"""Points against what the store promises, and against a dictionary that does the same in Python."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from tracker.server import problem
from tracker.server.schema import Metric, Run
from tracker.server.store import curves, experiments, points, runs
from tracker.values import MAX_POINTS, Status, rank
from workbook.source import source_with

NAN, INF = math.nan, math.inf


def curve(session: Session, run: Run, key: str = "loss") -> dict[str, Any]:
    return curves.read_curve(session, curves.get_metric(session, run.id, key), at_most=10_000)


def stored(session: Session, run: Run, key: str = "loss") -> dict[int, tuple[Any, int]]:
    """Step -> (value, time) of a curve; NaN as the text "NaN", which equals itself."""
    found = curve(session, run, key)
    return {s: (shown(v), t) for s, v, t in zip(found["steps"], found["values"], found["at"], strict=True)}


def shown(value: float) -> Any:
    return "NaN" if math.isnan(value) else value


def latest(session: Session, run: Run) -> dict[str, Any]:
    (listed,) = [r for r in runs.list_runs(session, run.experiment_id).items if r.id == run.id]
    return {key: (p["step"], shown(p["value"]), p["at"]) for key, p in listed.latest.items()}


def test_those_of_an_unknown_run_are_refused(session: Session) -> None:
    with pytest.raises(problem.NotFound, match="no run 8"):
        points.add_points(session, 8, [("loss", 0, 1.0, 0)], at=0)
    with pytest.raises(problem.NotFound, match="no run 8"):
        curves.get_metric(session, 8, "loss")


def test_an_unknown_key_is_refused(session: Session, run: Run) -> None:
    with pytest.raises(problem.NotFound, match="has logged no 'loss'"):
        curve(session, run)


def test_too_many_are_refused(session: Session, run: Run) -> None:
    many = [("loss", i, 0.0, 0) for i in range(MAX_POINTS + 1)]
    with pytest.raises(problem.TooManyPoints, match="at most 10000 points, this one has 10001"):
        points.add_points(session, run.id, many, at=0)
    assert points.add_points(session, run.id, many[1:], at=0) == MAX_POINTS


def test_they_come_back_sorted_by_step(session: Session, run: Run) -> None:
    given = [("loss", 3, 0.3, 30), ("loss", 1, NAN, 10), ("lr", 1, 1.0, 10), ("loss", 2, -INF, 20)]
    assert points.add_points(session, run.id, given, at=0) == 4
    found = curve(session, run)
    assert found["steps"] == [1, 2, 3]
    assert [shown(v) for v in found["values"]] == ["NaN", -INF, 0.3]
    assert found["at"] == [10, 20, 30]


def test_a_relogged_step_overwrites(session: Session, run: Run) -> None:
    points.add_points(session, run.id, [("loss", 1, 0.9, 10)], at=0)
    points.add_points(session, run.id, [("loss", 1, 0.1, 20)], at=0)
    assert stored(session, run) == {1: (0.1, 20)}


def test_a_late_point_does_not_overwrite_a_newer_one(session: Session, run: Run) -> None:
    points.add_points(session, run.id, [("loss", 1, 0.1, 20)], at=0)
    points.add_points(session, run.id, [("loss", 1, 0.9, 10)], at=0)
    assert stored(session, run) == {1: (0.1, 20)}
    assert latest(session, run) == {"loss": (1, 0.1, 20)}


@pytest.mark.parametrize("values", [(0.1, 0.9), (0.9, 0.1), (NAN, 0.9), (0.9, NAN), (-INF, 0.9)])
def test_in_one_millisecond_the_larger_wins(session: Session, run: Run, values: tuple[float, float]) -> None:
    for value in values:
        points.add_points(session, run.id, [("loss", 1, value, 10)], at=0)
    assert stored(session, run) == {1: (0.9, 10)}
    assert latest(session, run) == {"loss": (1, 0.9, 10)}


def test_a_step_twice_in_one_batch_is_one_point(session: Session, run: Run) -> None:
    batch = [("loss", 1, 0.1, 20), ("loss", 1, 0.9, 10), ("loss", 1, 0.5, 20)]
    assert points.add_points(session, run.id, batch, at=0) == 3
    assert stored(session, run) == {1: (0.5, 20)}


def test_more_than_a_request_holds_are_stored_like_few(session: Session, run: Run) -> None:
    """As a worker does, who finds many batches in its queue, of several runs, and some of them twice."""
    other, _ = runs.create_run(session, run.experiment_id, at=0)
    steps = range(0, MAX_POINTS, 2)
    batches = [points.Batch(r.id, [("loss", s, float(s), 5) for s in steps], at=0) for r in (other, run)]
    late = points.Batch(run.id, [("loss", s, -1.0, 4) for s in steps] + [("loss", 1, NAN, 6)], at=0)
    for _ in range(2):
        assert points.add_batches(session, [*batches, late]) == [len(steps), len(steps), len(steps) + 1]
    expected = {s: (float(s), 5) for s in steps}
    assert stored(session, other) == expected
    assert stored(session, run) == expected | {1: ("NaN", 6)}
    assert latest(session, run) == {"loss": (steps[-1], float(steps[-1]), 5)}


def test_a_batch_sent_again_changes_only_the_version(session: Session, run: Run) -> None:
    batch = [("loss", i, 1 / (i + 1), i) for i in range(50)]
    for _ in range(2):
        points.add_points(session, run.id, batch, at=0)
    assert stored(session, run) == {i: (1 / (i + 1), i) for i in range(50)}


def test_the_version_rises_across_the_curves_of_a_run(session: Session, run: Run) -> None:
    versions = []
    for key in ("a", "b", "a", "c"):
        points.add_points(session, run.id, [(key, len(versions), 0.0, 0)], at=0)
        versions.append(curve(session, run, key)["version"])
    assert versions == sorted(set(versions))
    assert curve(session, run, "b")["version"] == versions[1]


def test_a_late_point_unseals_its_curve(session: Session, run: Run) -> None:
    points.add_points(session, run.id, [("a", 0, 0.0, 0), ("b", 0, 0.0, 0)], at=0)
    session.execute(text("UPDATE metrics SET count = 1, min = 0, max = 0"))
    session.expire_all()
    points.add_points(session, run.id, [("a", 1, 0.0, 0)], at=0)
    session.expire_all()
    sealed = {m.key: (m.count, m.min, m.max) for m in session.query(Metric)}
    assert sealed == {"a": (None, None, None), "b": (1, 0.0, 0.0)}


def test_they_are_a_sign_of_life(session: Session, run: Run) -> None:
    given = [[("loss", 1, 0.0, 900), ("loss", 2, 0.0, 800)], [("loss", 3, 0.0, 100)], []]
    for batch, at in zip(given, (500, 600, 700), strict=True):
        points.add_points(session, run.id, batch, at=at)
        session.refresh(run)
        assert (run.heartbeat_at, run.last_logged_at) == (at, 900)


def test_those_of_one_run_are_not_those_of_another(session: Session, run: Run) -> None:
    other, _ = runs.create_run(session, run.experiment_id, at=0)
    points.add_points(session, run.id, [("loss", 1, 0.1, 0)], at=0)
    points.add_points(session, other.id, [("loss", 1, 0.2, 0)], at=0)
    assert stored(session, run) == {1: (0.1, 0)}
    assert latest(session, other) == {"loss": (1, 0.2, 0)}


def test_a_rewind_takes_what_was_logged_after_the_checkpoint(session: Session, run: Run) -> None:
    points.add_points(session, run.id, [("loss", i, float(i), 100 + i) for i in range(10)], at=0)
    points.add_points(session, run.id, [("late", 9, 1.0, 100)], at=0)
    points.rewind(session, run.id, step=5, until=108)
    assert stored(session, run) == {i: (float(i), 100 + i) for i in (0, 1, 2, 3, 4, 5, 9)}
    assert latest(session, run) == {"loss": (9, 9.0, 109)}
    assert stored(session, run, "late") == {}
    points.rewind(session, run.id, step=5, until=500)
    assert run.last_logged_at == 500  # whoever resumes must log later than this


def test_what_a_rewind_took_does_not_come_back(session: Session, run: Run) -> None:
    batch = [("loss", i, float(i), 100 + i) for i in range(10)]
    points.add_points(session, run.id, batch, at=0)
    for _ in range(2):
        points.rewind(session, run.id, step=5, until=200)
        assert points.add_points(session, run.id, batch, at=0) == 6
    assert max(stored(session, run)) == 5
    assert points.add_points(session, run.id, [("loss", 6, -1.0, 201)], at=0) == 1
    assert latest(session, run) == {"loss": (6, -1.0, 201)}
    assert run.fences == [[5, 200]]


def test_rewinds_add_up_in_any_order(session: Session, run: Run) -> None:
    for step, until in ((50, 10), (20, 30), (60, 20), (20, 30), (80, 99)):
        points.rewind(session, run.id, step=step, until=until)
    assert run.fences == [[20, 30], [80, 99]]
    assert points.add_points(session, run.id, [("a", 30, 0.0, 30), ("a", 30, 0.0, 31), ("a", 90, 0.0, 99)], at=0) == 1


def test_a_rewind_raises_the_version_and_unseals(session: Session, run: Run) -> None:
    points.add_points(session, run.id, [("loss", 1, 0.0, 0)], at=0)
    runs.change_run(session, run.id, status=Status.FINISHED, at=0)
    before = curve(session, run)["version"]
    points.rewind(session, run.id, step=0, until=5)
    session.expire_all()
    assert curve(session, run)["version"] > before
    assert [m.count for m in session.query(Metric)] == [None]


def test_rewinding_an_unknown_run_is_refused(session: Session) -> None:
    with pytest.raises(problem.NotFound, match="no run 8"):
        points.rewind(session, 8, step=0, until=0)


POINT = st.tuples(
    st.sampled_from("ab"), st.integers(0, 5), st.sampled_from([0.0, 1.0, -1.0, NAN, INF, -INF]), st.integers(0, 7)
)
REWIND = st.fixed_dictionaries({"step": st.integers(0, 5), "until": st.integers(0, 7)})


def curves_of(given_points: list[points.Row], rewinds: list[dict[str, int]]) -> dict[str, dict[int, tuple[Any, int]]]:
    """The oracle: by key and step, the highest rank of all that is not behind a fence."""
    best: dict[str, dict[int, tuple[Any, int]]] = {}
    for key, step, value, at in sorted(given_points, key=lambda point: rank(point[2], point[3])):
        if not any(step > fence["step"] and at <= fence["until"] for fence in rewinds):
            best.setdefault(key, {})[step] = shown(value), at
    return best


@pytest.fixture(scope="module")
def latest_sql() -> Any:
    """The query of exercise d1.b3.e3, which says that the copy of the newest point is what it finds."""
    source = source_with("d1.b3.e3")
    assert source is not None
    solution: dict[str, Any] = {}
    exec(source.exercises["d1.b3.e3"].solution, solution)
    return text(solution["LATEST_SQL"])


@given(news=st.lists(st.lists(POINT, max_size=20) | REWIND, max_size=8))
def test_any_batches_and_rewinds_in_any_order_end_in_the_same_curves(
    fresh: Any, latest_sql: Any, news: list[Any]
) -> None:
    """Everything is sent twice, the second time backwards, as retries and late batches are."""
    with fresh() as session:
        run, _ = runs.create_run(session, experiments.create_experiment(session, "e", "", at=0).id, at=0)
        for new in [*news, *reversed(news)]:
            if isinstance(new, dict):
                points.rewind(session, run.id, **new)
            else:
                points.add_points(session, run.id, new, at=0)
        sent = [point for new in news if isinstance(new, list) for point in new]
        expected = curves_of(sent, [new for new in news if isinstance(new, dict)])
        newest = latest(session, run)
        assert newest == {key: (max(curve), *curve[max(curve)]) for key, curve in expected.items()}
        for key, curve in expected.items():
            assert stored(session, run, key) == curve
            ((run_id, _, step, value),) = session.execute(
                latest_sql, {"experiment_id": run.experiment_id, "key": key}
            ).all()
            assert (run_id, step, "NaN" if value is None else value) == (run.id, *newest[key][:2])
