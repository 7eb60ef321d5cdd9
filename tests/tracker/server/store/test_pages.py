import base64
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tracker.server.problem import BadCursor
from tracker.server.store import experiments, pages, points, runs


@pytest.mark.parametrize("place", [(1,), (0, "NaN", 77), (2, 0.5, 2**63 - 1)])
def test_a_cursor_brings_back_what_it_was_made_of(place: tuple[float | str, ...]) -> None:
    assert pages.from_cursor(pages.to_cursor("order", *place), "order") == list(place)


FORGED = [b"[]", b'["order"]', b'["order", 0]', b'["order", true]', b'["order", "1"]', b'["other", 1]', b'{"id": 1}']
FORGED += [b"\xff", b"7", b'["order", 9223372036854775808]', b"[" * 40_000]


@pytest.mark.parametrize(
    "forged", ["", "x", "????", "é", *(base64.urlsafe_b64encode(text).decode() for text in FORGED)]
)
def test_a_forged_cursor_is_refused(forged: str) -> None:
    with pytest.raises(BadCursor):
        pages.from_cursor(forged, "order")


def test_one_row_too_many_is_another_page() -> None:
    assert not pages.is_more([1, 2], 2)
    assert pages.is_more([1, 2, 3], 2)


class Experiments:
    """A list of experiments, and the oracle of their order: the newest first."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows: dict[int, float | None] = {}  # by id, the newest loss of a run; None: never logged

    def add(self, _: float | None) -> None:
        self.rows[experiments.create_experiment(self.session, f"e{len(self.rows)}", "", at=0).id] = None

    def delete(self, row: int) -> None:
        experiments.delete_experiment(self.session, row)

    def page(self, cursor: str | None, limit: int) -> pages.Page:
        return experiments.list_experiments(self.session, cursor=cursor, limit=limit)

    def place(self, row: int) -> tuple[float, ...]:
        return (-row,)


class Runs(Experiments):
    """The runs of an experiment: the newest first, or by loss, in which numbers come before NaN and that before none;
    among equals the newest first."""

    def __init__(self, session: Session, sort: str | None) -> None:
        super().__init__(session)
        self.sort = sort
        self.experiment_id = experiments.create_experiment(session, "e", "", at=0).id

    def add(self, loss: float | None) -> None:
        run, _ = runs.create_run(self.session, self.experiment_id, at=0)
        if loss is not None:
            points.add_points(self.session, run.id, [("loss", 0, loss, 0)], at=0)
        self.rows[run.id] = loss

    def delete(self, row: int) -> None:
        runs.delete_run(self.session, row)

    def page(self, cursor: str | None, limit: int) -> pages.Page:
        return runs.list_runs(self.session, self.experiment_id, sort=self.sort, cursor=cursor, limit=limit)

    def place(self, row: int) -> tuple[float, ...]:
        loss = self.rows[row]
        if self.sort is None:
            return (-row,)
        if loss is None or math.isnan(loss):
            return (2 if loss is None else 1, 0, -row)
        return (0, -loss if self.sort == "-loss" else loss, -row)


LOSS = st.none() | st.sampled_from([0.5, math.nan, math.inf, -math.inf]) | st.floats()
ORDER = st.sampled_from(["experiments", None, "loss", "-loss"])


def listed(session: Session, order: str | None, losses: list[float | None]) -> Experiments:
    rows = Experiments(session) if order == "experiments" else Runs(session, order)
    for loss in losses:
        rows.add(loss)
    return rows


@given(losses=st.lists(LOSS, max_size=12), order=ORDER, limit=st.integers(1, 5))
def test_pages_joined_are_the_list_as_python_sorts_it(fresh: Any, losses: Any, order: str | None, limit: int) -> None:
    with fresh() as session:
        rows = listed(session, order, losses)
        cursor, expected = None, sorted(rows.rows, key=rows.place)
        while cursor or expected:
            page = rows.page(cursor, limit)
            assert [row.id for row in page.items] == expected[:limit]
            cursor, expected = page.next, expected[limit:]
            assert (cursor is None) == (not expected)


NEWS = st.lists(st.tuples(st.just("add"), LOSS) | st.tuples(st.just("delete"), st.integers(0)), max_size=4)


@given(losses=st.lists(LOSS, max_size=12), order=ORDER, limit=st.integers(1, 4), news=st.lists(NEWS, max_size=8))
def test_who_is_there_all_along_is_listed_once_and_in_order_while_others_come_and_go(
    fresh: Any, losses: Any, order: str | None, limit: int, news: Any
) -> None:
    with fresh() as session:
        rows = listed(session, order, losses)
        stayed = set(rows.rows)
        seen: list[int] = []
        cursor = None
        for changes in [*news, *[[]] * 100]:
            page = rows.page(cursor, limit)
            seen += [row.id for row in page.items]
            cursor = page.next
            if cursor is None:
                break
            for what, value in changes:
                if what == "add":
                    rows.add(value)
                elif stayed:
                    gone = sorted(stayed)[value % len(stayed)]
                    rows.delete(gone)
                    stayed.remove(gone)
        assert cursor is None
        assert len(seen) == len(set(seen))
        assert [row for row in seen if row in stayed] == sorted(stayed, key=rows.place)
