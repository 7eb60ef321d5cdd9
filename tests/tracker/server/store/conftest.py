from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from sqlalchemy.orm import Session

from tracker.server.db import Database
from tracker.server.schema import Experiment, Run
from tracker.server.store import experiments, runs


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


Fresh = Callable[[], AbstractContextManager[Session]]


@pytest.fixture
def fresh(database: Database) -> Fresh:
    """Transactions that are never committed: each example of a property has the empty tables for itself."""
    return lambda: Session(database.engine)


@pytest.fixture
def experiment(session: Session) -> Experiment:
    return experiments.create_experiment(session, "digits", "", at=100)


@pytest.fixture
def run(session: Session, experiment: Experiment) -> Run:
    return runs.create_run(session, experiment.id, at=200)[0]
