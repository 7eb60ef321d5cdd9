"""The store against what it promises, and against a dictionary that does the same in Python."""

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from tracker.server import store, wire
from tracker.server.db import Database
from tracker.server.schema import Experiment, Metric, Run
from tracker.values import MAX_POINTS, Status, rank
from workbook.source import source_with

NAN, INF = math.nan, math.inf


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


@pytest.fixture
def experiment(session: Session) -> Experiment:
    return store.create_experiment(session, "digits", "", at=100)


@pytest.fixture
def run(session: Session, experiment: Experiment) -> Run:
    return store.create_run(session, experiment.id, at=200)[0]


def points(session: Session, run: Run, key: str = "loss") -> dict[int, tuple[Any, int]]:
    """Step -> (value, time) of a curve; NaN as the text "NaN", which equals itself."""
    curve = store.get_curve(session, run.id, key)
    return {s: (shown(v), t) for s, v, t in zip(curve["steps"], curve["values"], curve["at"], strict=True)}


def shown(value: float) -> Any:
    return "NaN" if math.isnan(value) else value


def latest(session: Session, run: Run) -> dict[str, Any]:
    (listed,) = [r for r in store.list_runs(session, run.experiment_id).rows if r.id == run.id]
    return {key: (p["step"], shown(p["value"]), p["at"]) for key, p in listed.latest.items()}


class TestExperiments:
    def test_a_taken_name_is_refused(self, session: Session, experiment: Experiment) -> None:
        with pytest.raises(wire.NameTaken, match="'digits' exists already"):
            store.create_experiment(session, "digits", "", at=0)

    def test_an_unknown_one_is_refused(self, session: Session) -> None:
        with pytest.raises(wire.NotFound, match="no experiment 5"):
            store.get_experiment(session, 5)

    def test_it_keeps_what_it_was_given(self, session: Session) -> None:
        made = store.create_experiment(session, "a", "why", at=42)
        assert (made.name, made.description, made.owner, made.created_at) == ("a", "why", "", 42)
        assert store.get_experiment(session, made.id) is made

    def test_names_differ_by_case(self, session: Session, experiment: Experiment) -> None:
        assert store.create_experiment(session, "Digits", "", at=0).id != experiment.id

    def test_they_are_listed_newest_first_with_their_run_counts(self, session: Session) -> None:
        ids = [store.create_experiment(session, name, "", at=0).id for name in "abc"]
        for experiment_id, runs in zip(ids, (2, 0, 1), strict=True):
            for _ in range(runs):
                store.create_run(session, experiment_id, at=0)
        listed = store.list_experiments(session)
        assert [(e.name, e.run_count) for e in listed.rows] == [("c", 1), ("b", 0), ("a", 2)]
        assert listed.last_id is None

    def test_pages_join_without_gap_or_repeat(self, session: Session) -> None:
        for i in range(7):
            store.create_experiment(session, str(i), "", at=0)
        seen, below = [], None
        for _ in range(3):
            page = store.list_experiments(session, below=below, limit=3)
            seen.append([e.name for e in page.rows])
            below = page.last_id
        assert seen == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
        assert below is None

    def test_a_full_last_page_has_no_next(self, session: Session) -> None:
        for i in range(3):
            store.create_experiment(session, str(i), "", at=0)
        assert store.list_experiments(session, limit=3).last_id is None

    def test_one_is_found_by_name(self, session: Session, experiment: Experiment) -> None:
        store.create_experiment(session, "other", "", at=0)
        assert [e.id for e in store.list_experiments(session, name="digits").rows] == [experiment.id]
        assert store.list_experiments(session, name="nobody").rows == []


class TestRuns:
    def test_one_of_an_unknown_experiment_is_refused(self, session: Session) -> None:
        with pytest.raises(wire.NotFound, match="no experiment 9"):
            store.create_run(session, 9, at=0)
        with pytest.raises(wire.NotFound, match="no experiment 9"):
            store.list_runs(session, 9)

    def test_an_unknown_one_is_refused(self, session: Session) -> None:
        with pytest.raises(wire.NotFound, match="no run 3"):
            store.get_run(session, 3)
        with pytest.raises(wire.NotFound, match="no run 3"):
            store.change_run(session, 3, at=0)

    def test_a_running_one_has_begun(self, session: Session, experiment: Experiment) -> None:
        run, is_new = store.create_run(
            session, experiment.id, external_id="x", attempt="p", name="n", params={"lr": 1}, tags={"t": 2}, at=7
        )
        assert is_new
        assert (run.external_id, run.attempt, run.name, run.params, run.tags) == ("x", "p", "n", {"lr": 1}, {"t": 2})
        assert (run.status, run.restarts) == (Status.RUNNING, 0)
        assert (run.created_at, run.started_at, run.heartbeat_at, run.finished_at) == (7, 7, 7, None)

    def test_a_queued_one_has_not(self, session: Session, experiment: Experiment) -> None:
        run, _ = store.create_run(session, experiment.id, status=Status.QUEUED, at=7)
        assert (run.status, run.started_at, run.heartbeat_at) == (Status.QUEUED, None, None)
        store.change_run(session, run.id, status=Status.RUNNING, at=9)
        assert (run.started_at, run.heartbeat_at) == (9, 9)

    def test_without_a_name_it_gets_its_number(self, session: Session, experiment: Experiment) -> None:
        first, second = (store.create_run(session, experiment.id, at=0)[0] for _ in range(2))
        assert first.name == f"run {first.id}"
        assert first.external_id != second.external_id

    def test_the_same_external_id_resumes_it(self, session: Session, experiment: Experiment) -> None:
        run, _ = store.create_run(session, experiment.id, external_id="x", attempt="one", name="n", at=1)
        store.change_run(session, run.id, status=Status.FAILED, at=2)
        again, is_new = store.create_run(
            session, experiment.id, external_id="x", attempt="two", name="other", params={"lr": 1}, at=3
        )
        assert (again.id, is_new) == (run.id, False)
        assert (run.name, run.params, run.restarts, run.attempt) == ("n", {}, 1, "two")
        assert (run.status, run.started_at, run.heartbeat_at, run.finished_at) == (Status.RUNNING, 1, 3, None)

    def test_a_queued_one_that_is_resumed_has_begun(self, session: Session, experiment: Experiment) -> None:
        run, _ = store.create_run(session, experiment.id, external_id="x", status=Status.QUEUED, at=1)
        store.create_run(session, experiment.id, external_id="x", attempt="one", at=5)
        assert (run.status, run.started_at) == (Status.RUNNING, 5)

    def test_the_same_attempt_asking_twice_changes_nothing(self, session: Session, experiment: Experiment) -> None:
        run, _ = store.create_run(session, experiment.id, external_id="x", attempt="one", at=1)
        store.change_run(session, run.id, status=Status.FINISHED, at=2)
        assert store.create_run(session, experiment.id, external_id="x", attempt="one", at=3) == (run, False)
        assert (run.status, run.restarts, run.finished_at) == (Status.FINISHED, 0, 2)

    def test_without_an_attempt_every_request_is_a_restart(self, session: Session, experiment: Experiment) -> None:
        for _ in range(3):
            run, _ = store.create_run(session, experiment.id, external_id="x", at=1)
        assert run.restarts == 2

    def test_the_same_external_id_elsewhere_is_another_run(self, session: Session, experiment: Experiment) -> None:
        other = store.create_experiment(session, "other", "", at=0)
        mine, _ = store.create_run(session, experiment.id, external_id="x", at=0)
        theirs, is_new = store.create_run(session, other.id, external_id="x", at=0)
        assert is_new
        assert mine.id != theirs.id

    def test_an_illegal_transition_is_refused_and_says_what_is_legal(self, session: Session, run: Run) -> None:
        store.change_run(session, run.id, status=Status.FINISHED, at=1)
        with pytest.raises(wire.IllegalTransition, match="is finished and cannot become failed, only running"):
            store.change_run(session, run.id, status=Status.FAILED, at=2)
        assert (run.status, run.finished_at) == (Status.FINISHED, 1)

    def test_the_status_it_has_is_no_transition(self, session: Session, run: Run) -> None:
        store.change_run(session, run.id, status=Status.FINISHED, at=1)
        store.change_run(session, run.id, status=Status.FINISHED, at=2)
        assert run.finished_at == 1

    def test_going_on_takes_back_the_end(self, session: Session, run: Run) -> None:
        store.change_run(session, run.id, status=Status.KILLED, at=300)
        store.change_run(session, run.id, status=Status.RUNNING, at=400)
        assert (run.started_at, run.heartbeat_at, run.finished_at) == (200, 400, None)

    def test_what_a_change_leaves_out_stays(self, session: Session, run: Run) -> None:
        store.change_run(session, run.id, name="n", tags={"a": 1}, at=1)
        store.change_run(session, run.id, tags={"b": 2}, at=1)
        store.change_run(session, run.id, status=Status.FINISHED, at=1)
        assert (run.name, run.tags, run.status) == ("n", {"b": 2}, Status.FINISHED)

    def test_an_emptied_tag_set_is_a_change(self, session: Session, run: Run) -> None:
        store.change_run(session, run.id, tags={"a": 1}, at=1)
        store.change_run(session, run.id, tags={}, at=1)
        assert run.tags == {}

    def test_pages_join_and_belong_to_their_experiment(self, session: Session, experiment: Experiment) -> None:
        other = store.create_experiment(session, "other", "", at=0)
        ids = []
        for _ in range(5):
            ids.append(store.create_run(session, experiment.id, at=0)[0].id)
            store.create_run(session, other.id, at=0)
        first = store.list_runs(session, experiment.id, limit=3)
        second = store.list_runs(session, experiment.id, below=first.last_id, limit=3)
        assert [r.id for r in first.rows + second.rows] == ids[::-1]
        assert second.last_id is None

    def test_a_page_takes_a_constant_number_of_statements(
        self, session: Session, experiment: Experiment, database: Database
    ) -> None:
        def statements() -> int:
            session.flush()
            session.expire_all()
            seen: list[str] = []

            def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
                seen.append(statement)

            event.listen(database.engine, "before_cursor_execute", note)
            listed = store.list_runs(session, experiment.id)
            assert all(r.latest.keys() == {"loss", "accuracy"} for r in listed.rows)
            event.remove(database.engine, "before_cursor_execute", note)
            return len(seen)

        def add_run() -> None:
            run, _ = store.create_run(session, experiment.id, at=0)
            store.add_points(session, run.id, [("loss", 0, 1.0, 0), ("accuracy", 0, 1.0, 0)], at=0)

        add_run()
        few = statements()
        for _ in range(20):
            add_run()
        assert statements() == few


class TestPoints:
    def test_those_of_an_unknown_run_are_refused(self, session: Session) -> None:
        with pytest.raises(wire.NotFound, match="no run 8"):
            store.add_points(session, 8, [("loss", 0, 1.0, 0)], at=0)
        with pytest.raises(wire.NotFound, match="no run 8"):
            store.get_curve(session, 8, "loss")

    def test_an_unknown_key_is_refused(self, session: Session, run: Run) -> None:
        with pytest.raises(wire.NotFound, match="has logged no 'loss'"):
            store.get_curve(session, run.id, "loss")

    def test_too_many_are_refused(self, session: Session, run: Run) -> None:
        many = [("loss", i, 0.0, 0) for i in range(MAX_POINTS + 1)]
        with pytest.raises(wire.TooManyPoints, match="at most 10000 points, this one has 10001"):
            store.add_points(session, run.id, many, at=0)
        assert store.add_points(session, run.id, many[1:], at=0) == MAX_POINTS

    def test_they_come_back_sorted_by_step(self, session: Session, run: Run) -> None:
        given = [("loss", 3, 0.3, 30), ("loss", 1, NAN, 10), ("lr", 1, 1.0, 10), ("loss", 2, -INF, 20)]
        assert store.add_points(session, run.id, given, at=0) == 4
        curve = store.get_curve(session, run.id, "loss")
        assert curve["steps"] == [1, 2, 3]
        assert [shown(v) for v in curve["values"]] == ["NaN", -INF, 0.3]
        assert curve["at"] == [10, 20, 30]

    def test_a_relogged_step_overwrites(self, session: Session, run: Run) -> None:
        store.add_points(session, run.id, [("loss", 1, 0.9, 10)], at=0)
        store.add_points(session, run.id, [("loss", 1, 0.1, 20)], at=0)
        assert points(session, run) == {1: (0.1, 20)}

    def test_a_late_point_does_not_overwrite_a_newer_one(self, session: Session, run: Run) -> None:
        store.add_points(session, run.id, [("loss", 1, 0.1, 20)], at=0)
        store.add_points(session, run.id, [("loss", 1, 0.9, 10)], at=0)
        assert points(session, run) == {1: (0.1, 20)}
        assert latest(session, run) == {"loss": (1, 0.1, 20)}

    @pytest.mark.parametrize("values", [(0.1, 0.9), (0.9, 0.1), (NAN, 0.9), (0.9, NAN), (-INF, 0.9)])
    def test_in_one_millisecond_the_larger_wins(self, session: Session, run: Run, values: tuple[float, float]) -> None:
        for value in values:
            store.add_points(session, run.id, [("loss", 1, value, 10)], at=0)
        assert points(session, run) == {1: (0.9, 10)}
        assert latest(session, run) == {"loss": (1, 0.9, 10)}

    def test_a_step_twice_in_one_batch_is_one_point(self, session: Session, run: Run) -> None:
        batch = [("loss", 1, 0.1, 20), ("loss", 1, 0.9, 10), ("loss", 1, 0.5, 20)]
        assert store.add_points(session, run.id, batch, at=0) == 3
        assert points(session, run) == {1: (0.5, 20)}

    def test_a_batch_sent_again_changes_only_the_version(self, session: Session, run: Run) -> None:
        batch = [("loss", i, 1 / (i + 1), i) for i in range(50)]
        for _ in range(2):
            store.add_points(session, run.id, batch, at=0)
        assert points(session, run) == {i: (1 / (i + 1), i) for i in range(50)}

    def test_the_version_rises_across_the_curves_of_a_run(self, session: Session, run: Run) -> None:
        versions = []
        for key in ("a", "b", "a", "c"):
            store.add_points(session, run.id, [(key, len(versions), 0.0, 0)], at=0)
            versions.append(store.get_curve(session, run.id, key)["version"])
        assert versions == sorted(set(versions))
        assert store.get_curve(session, run.id, "b")["version"] == versions[1]

    def test_a_late_point_unseals_its_curve(self, session: Session, run: Run) -> None:
        store.add_points(session, run.id, [("a", 0, 0.0, 0), ("b", 0, 0.0, 0)], at=0)
        session.execute(text("UPDATE metrics SET count = 1, min = 0, max = 0"))
        session.expire_all()
        store.add_points(session, run.id, [("a", 1, 0.0, 0)], at=0)
        session.expire_all()
        sealed = {m.key: (m.count, m.min, m.max) for m in session.query(Metric)}
        assert sealed == {"a": (None, None, None), "b": (1, 0.0, 0.0)}

    def test_they_are_a_sign_of_life(self, session: Session, run: Run) -> None:
        store.add_points(session, run.id, [("loss", 1, 0.0, 900), ("loss", 2, 0.0, 800)], at=500)
        assert (run.heartbeat_at, run.last_logged_at) == (500, 900)
        store.add_points(session, run.id, [("loss", 3, 0.0, 100)], at=600)
        assert (run.heartbeat_at, run.last_logged_at) == (600, 900)
        store.add_points(session, run.id, [], at=700)
        assert (run.heartbeat_at, run.last_logged_at) == (700, 900)

    def test_those_of_one_run_are_not_those_of_another(self, session: Session, run: Run) -> None:
        other, _ = store.create_run(session, run.experiment_id, at=0)
        store.add_points(session, run.id, [("loss", 1, 0.1, 0)], at=0)
        store.add_points(session, other.id, [("loss", 1, 0.2, 0)], at=0)
        assert points(session, run) == {1: (0.1, 0)}
        assert latest(session, other) == {"loss": (1, 0.2, 0)}

    @pytest.mark.parametrize("seed", range(20))
    def test_any_batches_in_any_order_end_in_the_same_curves(self, session: Session, run: Run, seed: int) -> None:
        """The oracle is a dictionary; the copy of the newest point is compared with the query of exercise d1.b3.e3,
        whose solution says that it is."""
        rng = random.Random(seed)
        values = [0.0, 1.0, -1.0, NAN, INF, -INF]
        given = [
            (rng.choice("ab"), rng.randrange(6), rng.choice(values), rng.randrange(4))
            for _ in range(rng.randrange(1, 60))
        ]
        oracle: dict[tuple[str, int], tuple[float, int]] = {}
        for key, step, value, at in given:
            if (key, step) not in oracle or rank(value, at) > rank(*oracle[key, step]):
                oracle[key, step] = value, at
        rng.shuffle(given)
        while given:
            size = rng.randrange(1, 20)
            store.add_points(session, run.id, given[:size], at=0)
            given = given[size:]
        source = source_with("d1.b3.e3")
        assert source is not None
        solution: dict[str, Any] = {}
        exec(source.exercises["d1.b3.e3"].solution, solution)
        for key in {key for key, _ in oracle}:
            expected = {step: (shown(v), at) for (k, step), (v, at) in sorted(oracle.items()) if k == key}
            assert points(session, run, key) == expected
            last = max(expected)
            assert latest(session, run)[key] == (last, *expected[last])
            asked = session.execute(text(solution["LATEST_SQL"]), {"experiment_id": run.experiment_id, "key": key})
            ((run_id, _, step, stored),) = asked.all()
            assert (run_id, step, "NaN" if stored is None else stored) == (run.id, last, expected[last][0])


def test_ping_asks_the_database(session: Session) -> None:
    store.ping(session)
    session.execute(text("DROP TABLE experiments"))
    with pytest.raises(Exception, match="no such table"):
        store.ping(session)
