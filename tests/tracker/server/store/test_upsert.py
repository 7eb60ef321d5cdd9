"""The ways of rows into the table end in the same rows, and fail in the same way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tracker.server.db import UNREACHABLE, Database
from tracker.server.schema import Metric, Run
from tracker.server.store import experiments, runs, upsert
from tracker.values import rank

Way = Callable[[Connection, Sequence[upsert.Row]], None]
BOTH = pytest.mark.parametrize("way", [upsert.append, upsert.upsert])


def curves(session: Session, run: Run, count: int) -> list[int]:
    """The ids of so many new curves."""
    made = [Metric(run_id=run.id, key=f"key {number}", version=0) for number in range(count)]
    session.add_all(made)
    session.flush()
    return [curve.id for curve in made]


def stored(session: Session) -> dict[tuple[int, int], Any]:
    found = session.execute(text("SELECT metric_id, step, value, logged_at FROM points"))
    return {(metric, step): (value, at) for metric, step, value, at in found}


@BOTH
def test_a_row_of_no_curve_is_refused(session: Session, run: Run, way: Way) -> None:
    (curve,) = curves(session, run, 1)
    with pytest.raises(IntegrityError):
        way(session.connection(), [(curve, 0, 1.0, 0), (curve + 1, 0, 1.0, 0)])
    session.rollback()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_row_that_is_there_cannot_be_appended(session: Session, run: Run) -> None:
    (curve,) = curves(session, run, 1)
    upsert.append(session.connection(), [(curve, 0, 1.0, 0)])
    with pytest.raises(IntegrityError):
        upsert.append(session.connection(), [(curve, 0, 2.0, 1)])
    session.rollback()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_server_that_dies_meanwhile_is_one_that_is_away(database: Database, postgres_tables: str) -> None:
    class Rows(list[Any]):
        """More than are sent at once; their connection is cut while they are."""

        def __iter__(self) -> Iterator[Any]:
            with psycopg.connect(postgres_tables.replace("+psycopg", ""), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %'")
            return super().__iter__()

    with pytest.raises(UNREACHABLE, match="COPY points"), database.write() as session:
        upsert.append(session.connection(), Rows([(1, 0, 1.0, 0)] * 100_000))
    with database.write() as session:
        assert stored(session) == {}


@BOTH
def test_the_largest_and_the_least(session: Session, run: Run, way: Way) -> None:
    (curve,) = curves(session, run, 1)
    values = [None, math.inf, -math.inf, 5e-324, -1.7976931348623157e308]
    way(session.connection(), [(curve, 2**53 - n, value, n) for n, value in reversed(list(enumerate(values)))])
    assert stored(session) == {(curve, 2**53 - n): (value, n) for n, value in enumerate(values)}
    way(session.connection(), [(curve, 0, None, 0)])  # of all values, none is a number
    assert stored(session)[curve, 0] == (None, 0)


VALUE = st.sampled_from([None, 0.0, 1.0, -1.0, math.inf])
ROWS = st.dictionaries(st.tuples(st.integers(0, 1), st.integers(0, 3)), st.tuples(VALUE, st.integers(0, 3)), max_size=6)


@given(news=st.lists(ROWS.filter(bool), max_size=6))
def test_of_all_rows_of_a_place_the_one_of_highest_rank_stays(fresh: Any, news: list[dict[Any, Any]]) -> None:
    def rank_of(row: tuple[float | None, int]) -> Any:
        return rank(math.nan if row[0] is None else row[0], row[1])

    with fresh() as session:
        run, _ = runs.create_run(session, experiments.create_experiment(session, "e", "", at=0).id, at=0)
        ids = curves(session, run, 2)
        best: dict[tuple[int, int], Any] = {}
        for new in news:
            rows = sorted((ids[curve], step, *row) for (curve, step), row in new.items())
            upsert.upsert(session.connection(), rows)
            for curve, step, *row in rows:
                best[curve, step] = max(best.get((curve, step), tuple(row)), tuple(row), key=rank_of)
        assert stored(session) == best
