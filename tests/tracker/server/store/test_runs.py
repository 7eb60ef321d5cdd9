import itertools
import math
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from tracker.server import problem
from tracker.server.db import Database
from tracker.server.schema import Experiment, Run
from tracker.server.store import experiments, pages, points, runs
from tracker.values import Status, now_ms


def test_one_of_an_unknown_experiment_is_refused(session: Session) -> None:
    with pytest.raises(problem.NotFound, match="no experiment 9"):
        runs.create_run(session, 9, at=0)
    with pytest.raises(problem.NotFound, match="no experiment 9"):
        runs.list_runs(session, 9)


def test_an_unknown_one_is_refused(session: Session) -> None:
    with pytest.raises(problem.NotFound, match="no run 3"):
        runs.get_run(session, 3)
    with pytest.raises(problem.NotFound, match="no run 3"):
        runs.change_run(session, 3, at=0)


def test_a_running_one_has_begun(session: Session, experiment: Experiment) -> None:
    run, is_new = runs.create_run(
        session, experiment.id, external_id="x", attempt="p", name="n", params={"lr": 1}, tags={"t": 2}, at=7
    )
    assert is_new
    assert (run.external_id, run.name, run.params, run.tags) == ("x", "n", {"lr": 1}, {"t": 2})
    assert (run.status, run.restarts) == (Status.RUNNING, 0)
    assert (run.created_at, run.started_at, run.heartbeat_at, run.finished_at) == (7, 7, 7, None)


def test_a_queued_one_has_not(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, status=Status.QUEUED, at=7)
    assert (run.status, run.started_at, run.heartbeat_at) == (Status.QUEUED, None, None)
    runs.change_run(session, run.id, status=Status.RUNNING, at=9)
    assert (run.started_at, run.heartbeat_at) == (9, 9)


def test_without_a_name_it_gets_its_number(session: Session, experiment: Experiment) -> None:
    first, second = (runs.create_run(session, experiment.id, at=0)[0] for _ in range(2))
    assert first.name == f"run {first.id}"
    assert first.external_id != second.external_id


def test_the_same_external_id_resumes_it(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, external_id="x", attempt="one", name="n", at=1)
    runs.change_run(session, run.id, status=Status.FAILED, at=2)
    again, is_new = runs.create_run(
        session, experiment.id, external_id="x", attempt="two", name="other", params={"lr": 1}, at=3
    )
    assert (again.id, is_new) == (run.id, False)
    assert (run.name, run.params, run.restarts) == ("n", {}, 1)
    assert (run.status, run.started_at, run.heartbeat_at, run.finished_at) == (Status.RUNNING, 1, 3, None)


def test_a_queued_one_that_is_resumed_has_begun(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, external_id="x", status=Status.QUEUED, at=1)
    runs.create_run(session, experiment.id, external_id="x", attempt="one", at=5)
    assert (run.status, run.started_at, run.restarts) == (Status.RUNNING, 5, 0)


def test_a_queued_one_that_is_announced_again_stays_as_it_is(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, external_id="x", at=1)
    assert runs.create_run(session, experiment.id, external_id="x", status=Status.QUEUED, at=5) == (run, False)
    assert (run.status, run.restarts) == (Status.RUNNING, 0)


def test_the_same_attempt_asking_twice_changes_nothing(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, external_id="x", attempt="one", at=1)
    runs.change_run(session, run.id, status=Status.FINISHED, at=2)
    assert runs.create_run(session, experiment.id, external_id="x", attempt="one", at=3) == (run, False)
    assert (run.status, run.restarts, run.finished_at) == (Status.FINISHED, 0, 2)


def test_what_was_sent_already_may_be_sent_again_from_the_beginning(session: Session, experiment: Experiment) -> None:
    for _ in range(2):
        for attempt, when, end in (("one", 10, Status.PREEMPTED), ("two", 20, Status.FINISHED)):
            run, _ = runs.create_run(session, experiment.id, external_id="x", attempt=attempt, when=when, at=99)
            runs.change_run(session, run.id, status=end, when=when + 5, at=99)
    assert (run.status, run.restarts) == (Status.FINISHED, 1)
    assert (run.created_at, run.started_at, run.finished_at) == (10, 10, 25)


@pytest.mark.parametrize("order", sorted(set(itertools.permutations("aabbcc"))))
def test_begins_and_ends_lead_to_the_same_run_in_any_order(
    session: Session, experiment: Experiment, order: tuple[str, ...]
) -> None:
    """Three attempts on three machines, each of whose spools is sent in its own order, whenever it is."""
    events = {
        "a": [(10, Status.RUNNING), (15, Status.PREEMPTED)],
        "b": [(20, Status.RUNNING), (25, Status.FAILED)],
        "c": [(30, Status.RUNNING), (35, Status.FINISHED)],
    }
    for attempt in order:
        when, status = events[attempt].pop(0)
        if status == Status.RUNNING:
            run, _ = runs.create_run(session, experiment.id, external_id="x", attempt=attempt, when=when, at=99)
        else:
            runs.change_run(session, run.id, status=status, when=when, at=99)
    assert (run.status, run.finished_at, run.restarts) == (Status.FINISHED, 35, 2)
    assert (run.created_at, run.started_at) == (10, 10)


def test_the_late_news_of_an_earlier_attempt_does_not_end_the_one_that_runs(
    session: Session, experiment: Experiment
) -> None:
    run, _ = runs.create_run(session, experiment.id, external_id="x", attempt="two", when=20, at=50)
    runs.create_run(session, experiment.id, external_id="x", attempt="one", when=10, at=90)
    runs.change_run(session, run.id, status=Status.PREEMPTED, when=15, at=90)
    assert (run.status, run.heartbeat_at, run.finished_at) == (Status.RUNNING, 50, None)
    assert (run.started_at, run.restarts) == (10, 1)


def test_who_says_no_time_means_now_even_to_a_run_whose_clock_is_ahead(
    session: Session, experiment: Experiment
) -> None:
    run, _ = runs.create_run(session, experiment.id, when=1000, at=50)
    runs.change_run(session, run.id, status=Status.KILLED, at=60)
    assert (run.status, run.finished_at) == (Status.KILLED, 1000)
    runs.create_run(session, experiment.id, external_id=run.external_id, at=70)
    assert (run.status, run.finished_at, run.heartbeat_at) == (Status.RUNNING, None, 70)


def test_without_an_attempt_every_request_is_a_restart(session: Session, experiment: Experiment) -> None:
    for at in range(3):
        run, _ = runs.create_run(session, experiment.id, external_id="x", at=at)
    assert run.restarts == 2


def test_the_same_external_id_elsewhere_is_another_run(session: Session, experiment: Experiment) -> None:
    other = experiments.create_experiment(session, "other", "", at=0)
    mine, _ = runs.create_run(session, experiment.id, external_id="x", at=0)
    theirs, is_new = runs.create_run(session, other.id, external_id="x", at=0)
    assert is_new
    assert mine.id != theirs.id


def test_an_illegal_transition_is_refused_and_says_what_is_legal(session: Session, run: Run) -> None:
    runs.change_run(session, run.id, status=Status.FINISHED, at=300)
    with pytest.raises(problem.IllegalTransition, match="is finished and cannot become failed, only running"):
        runs.change_run(session, run.id, status=Status.FAILED, at=400)
    assert (run.status, run.finished_at) == (Status.FINISHED, 300)


def test_the_status_it_has_is_no_transition(session: Session, run: Run) -> None:
    runs.change_run(session, run.id, status=Status.FINISHED, at=300)
    runs.change_run(session, run.id, status=Status.FINISHED, at=400)
    assert run.finished_at == 300


def test_going_on_takes_back_the_end(session: Session, run: Run) -> None:
    runs.change_run(session, run.id, status=Status.KILLED, at=300)
    runs.change_run(session, run.id, status=Status.RUNNING, at=400)
    assert (run.started_at, run.heartbeat_at, run.finished_at, run.restarts) == (200, 400, None, 1)


def test_what_a_change_leaves_out_stays(session: Session, run: Run) -> None:
    runs.change_run(session, run.id, name="n", tags={"a": 1}, at=1)
    runs.change_run(session, run.id, tags={"b": 2}, at=1)
    runs.change_run(session, run.id, status=Status.FINISHED, at=1)
    assert (run.name, run.tags, run.status) == ("n", {"b": 2}, Status.FINISHED)


def test_an_emptied_tag_set_is_a_change(session: Session, run: Run) -> None:
    runs.change_run(session, run.id, tags={"a": 1}, at=1)
    runs.change_run(session, run.id, tags={}, at=1)
    assert run.tags == {}


def test_pages_join_and_belong_to_their_experiment(session: Session, experiment: Experiment) -> None:
    other = experiments.create_experiment(session, "other", "", at=0)
    ids = []
    for _ in range(5):
        ids.append(runs.create_run(session, experiment.id, at=0)[0].id)
        runs.create_run(session, other.id, at=0)
    first = runs.list_runs(session, experiment.id, limit=3)
    second = runs.list_runs(session, experiment.id, cursor=first.next, limit=3)
    assert [r.id for r in first.items + second.items] == ids[::-1]
    assert second.next is None


def test_a_page_takes_a_constant_number_of_statements(
    session: Session, experiment: Experiment, database: Database
) -> None:
    def statements() -> int:
        session.flush()
        session.expire_all()
        seen: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            seen.append(statement)

        event.listen(database.engine, "before_cursor_execute", note)
        listed = runs.list_runs(session, experiment.id)
        assert all(r.latest.keys() == {"loss", "accuracy"} for r in listed.items)
        event.remove(database.engine, "before_cursor_execute", note)
        return len(seen)

    def add_run() -> None:
        run, _ = runs.create_run(session, experiment.id, at=0)
        points.add_points(session, run.id, [("loss", 0, 1.0, 0), ("accuracy", 0, 1.0, 0)], at=0)

    add_run()
    few = statements()
    for _ in range(20):
        add_run()
    assert statements() == few


@pytest.fixture
def seven(session: Session, experiment: Experiment) -> list[Run]:
    """Runs whose newest loss is a number, an infinity, a NaN, or missing; two numbers are equal."""
    losses: list[float | None] = [0.5, math.nan, None, -math.inf, 0.5, math.inf, math.nan]
    made = []
    for loss in losses:
        run, _ = runs.create_run(session, experiment.id, at=0)
        batch = [("lr", 0, 0.1, 0)] + ([("loss", 3, loss, 0), ("loss", 2, 9.0, 0)] if loss is not None else [])
        points.add_points(session, run.id, batch, at=0)
        made.append(run)
    return made


@pytest.mark.parametrize(
    ("sort", "order"),
    [("loss", [3, 4, 0, 5, 6, 1, 2]), ("-loss", [5, 4, 0, 3, 6, 1, 2]), (None, [6, 5, 4, 3, 2, 1, 0])],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_sorted_pages_join_with_numbers_first_then_nan_then_missing(
    session: Session, experiment: Experiment, seven: list[Run], sort: str | None, order: list[int], limit: int
) -> None:
    seen: list[int] = []
    cursor = None
    for _ in range(10):
        page = runs.list_runs(session, experiment.id, sort=sort, cursor=cursor, limit=limit)
        seen += [run.id for run in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [seven[i].id for i in order]
    assert cursor is None


def test_a_cursor_of_one_order_is_none_of_another(session: Session, experiment: Experiment, seven: list[Run]) -> None:
    cursor = runs.list_runs(session, experiment.id, sort="loss", limit=2).next
    for sort in ("-loss", "lr", None):
        with pytest.raises(problem.BadCursor):
            runs.list_runs(session, experiment.id, sort=sort, cursor=cursor)


@pytest.mark.parametrize("place", [(3, 0.5, 1), (0, 10**400, 1), (0, "x", 1), (0, [], 1), (0, 1), (None, 1, 1)])
def test_a_forged_sorted_cursor_is_refused(session: Session, experiment: Experiment, place: Any) -> None:
    with pytest.raises(problem.BadCursor):
        runs.list_runs(session, experiment.id, sort="loss", cursor=pages.to_cursor("metric loss", *place))


def test_a_sort_by_what_nobody_logged_is_the_newest_first(
    session: Session, experiment: Experiment, seven: list[Run]
) -> None:
    assert [r.id for r in runs.list_runs(session, experiment.id, sort="nothing").items] == [r.id for r in seven[::-1]]


def test_runs_and_curves_can_be_chosen(session: Session, experiment: Experiment, seven: list[Run]) -> None:
    runs.change_run(session, seven[0].id, status=Status.FAILED, at=1)
    runs.change_run(session, seven[1].id, status=Status.KILLED, at=1)
    chosen = runs.list_runs(session, experiment.id, status=[Status.FAILED, Status.KILLED], keys=["lr"]).items
    assert [(r.id, list(r.latest)) for r in chosen] == [(seven[1].id, ["lr"]), (seven[0].id, ["lr"])]


def test_an_ended_run_is_summed_up_until_a_late_point(session: Session, experiment: Experiment, run: Run) -> None:
    def summary() -> list[tuple[int | None, float | None, float | None]]:
        session.expire_all()
        (listed,) = runs.list_runs(session, experiment.id).items
        return [(p["count"], p["min"], p["max"]) for p in listed.latest.values()]

    points.add_points(session, run.id, [("loss", i, v, 0) for i, v in enumerate((0.5, math.nan, -1.0, 2.0))], at=0)
    assert summary() == [(None, None, None)]
    runs.change_run(session, run.id, status=Status.FINISHED, at=1)
    assert summary() == [(4, -1.0, 2.0)]
    points.add_points(session, run.id, [("loss", 9, 7.0, 0)], at=0)
    assert summary() == [(None, None, None)]
    runs.change_run(session, run.id, status=Status.FINISHED, at=1)
    assert summary() == [(5, -1.0, 7.0)]


def test_deleting_one_takes_its_points(session: Session, run: Run) -> None:
    points.add_points(session, run.id, [("loss", 1, 0.0, 0)], at=0)
    gone = run.id
    runs.delete_run(session, gone)
    with pytest.raises(problem.NotFound):
        runs.delete_run(session, gone)
    assert session.execute(text("SELECT count(*) FROM points")).scalar_one() == 0
    session.expire_all()
    assert runs.create_run(session, run_of(session), at=0)[0].id > gone


def run_of(session: Session) -> int:
    return int(session.execute(text("SELECT id FROM experiments")).scalar_one())


def test_a_run_that_is_silent_for_a_minute_is_lost(session: Session, run: Run) -> None:
    run.heartbeat_at = now_ms()
    assert not run.lost
    run.heartbeat_at -= 61_000
    assert run.lost
    run.status = Status.FINISHED
    assert not run.lost
