"""A real PostgreSQL for these tests. Where there is none they are not run; in CI that is a failure."""

import os
from collections.abc import Iterator

import pytest

from workbook.labs.postgres import NoPostgres, Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres()
    except NoPostgres as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    yield server
    server.close()
