"""Who is told what, when a transaction is over; `test_cache` and `test_pubsub` see that it has its effect."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
import redis
from sqlalchemy import event

from tracker.server.db import Database
from tracker.server.fanout import Fanout
from tracker.server.problem import NotFound
from tracker.server.store import experiments, runs
from workbook.labs.valkey import Valkey


@pytest.fixture
def run(database: Database) -> int:
    with database.write() as session:
        experiment = experiments.create_experiment(session, "e", "", at=0)
        return runs.create_run(session, experiment.id, at=0)[0].id


def statements(database: Database) -> list[str]:
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


def test_without_redis_nothing_is_asked_or_told(database: Database, run: int) -> None:
    seen = statements(database)
    fanout = Fanout("", database, print)
    with fanout.changing(run_id=run), fanout.changing(experiment_id=1):
        pass
    assert seen == []


class TestTelling:
    @pytest.fixture
    def fanout(self, valkey: Valkey, database: Database) -> Any:
        fanout = Fanout(valkey.url, database, print)
        yield fanout
        assert fanout.remote
        fanout.remote.close()

    @pytest.fixture
    def told(self, valkey: Valkey) -> Any:
        with closing(redis.Redis.from_url(valkey.url)) as client:
            yield lambda: {key.decode().rpartition(":")[2] for key in client.keys("tracker:generation:*")}

    def test_a_refusal_changes_nothing(self, fanout: Fanout, run: int, told: Any) -> None:
        with pytest.raises(NotFound), fanout.changing(run_id=run):
            raise NotFound("no")
        with fanout.changing(run_id=99):
            pass
        assert told() == set()

    def test_a_failure_may_have_changed_all(self, fanout: Fanout, run: int, told: Any) -> None:
        """The connection may have died when the commit was done."""
        with pytest.raises(OSError, match="gone"), fanout.changing(run_id=run):
            raise OSError("gone")
        assert told() == {"1", "all"}

    def test_a_change_of_a_run_is_one_of_its_experiment(self, fanout: Fanout, run: int, told: Any) -> None:
        with fanout.changing(run_id=run):
            assert told() == set()
        assert told() == {"1", "all"}

    def test_the_experiment_of_a_run_is_looked_up_once_and_known_when_it_is_gone(
        self, fanout: Fanout, run: int, database: Database
    ) -> None:
        seen = statements(database)
        for _ in range(3):
            assert fanout.experiments_of([run]) == {run: 1}
        assert len([statement for statement in seen if statement != "BEGIN"]) == 1
        with database.write() as session:
            experiments.delete_experiment(session, 1)
        assert fanout.experiments_of([run, 99]) == {run: 1}
