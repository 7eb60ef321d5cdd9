"""What tests are promised of the services that they share: a well one, and in it nothing of others."""

from collections.abc import Callable, Iterator
from typing import NoReturn

import psycopg
import pytest
import redis
from sqlalchemy import make_url

from workbook.labs.postgres import Postgres
from workbook.labs.valkey import Valkey


def test_what_is_missing_skips_at_home_and_fails_in_ci(
    not_run: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such thing"):
        not_run("no such thing")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no such thing"):
        not_run("no such thing")


class TestPostgres:
    @pytest.fixture
    def before(self, postgres_server: Postgres) -> set[str]:
        return databases(postgres_server)

    @pytest.fixture
    def forgotten(self) -> Iterator[list[psycopg.Connection]]:
        """What a test that fails leaves open."""
        connections: list[psycopg.Connection] = []
        yield connections
        for connection in connections:
            connection.close()

    def test_a_database_is_new_and_one_s_own(
        self, before: set[str], forgotten: list[psycopg.Connection], postgres_url: str
    ) -> None:
        assert make_url(postgres_url).database not in before
        forgotten.append(psycopg.connect(plain(postgres_url)))
        assert not forgotten[0].execute("SELECT * FROM pg_tables WHERE schemaname = 'public'").fetchall()
        forgotten[0].execute("CREATE TABLE ours (id INTEGER)")

    def test_it_goes_with_the_test(self, postgres_server: Postgres) -> None:
        assert not {name for name in databases(postgres_server) if name.startswith("test_")}

    def test_a_killed_server_is_well_again(self, postgres_server: Postgres, request: pytest.FixtureRequest) -> None:
        postgres_server.kill()
        with psycopg.connect(plain(request.getfixturevalue("postgres_url"))) as connection:
            connection.execute("SELECT 1")
        postgres_server.kill()  # and the database of this test is dropped none the less


def plain(url: str) -> str:
    """For the driver, which knows nothing of SQLAlchemy."""
    return url.replace("+psycopg", "")


def databases(server: Postgres) -> set[str]:
    with psycopg.connect(plain(server.url)) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


class TestValkey:
    @pytest.mark.parametrize("who", ["first", "second"])
    def test_it_is_empty(self, valkey_url: str, who: str) -> None:
        with redis.Redis.from_url(valkey_url) as client:
            assert client.dbsize() == 0
            client.set(who, "was here")

    def test_a_paused_server_is_well_again(self, valkey_server: Valkey, request: pytest.FixtureRequest) -> None:
        valkey_server.pause()
        with redis.Redis.from_url(request.getfixturevalue("valkey_url")) as client:
            assert client.ping()


class TestRabbitMQ:
    def test_one_s_own_is_used(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        monkeypatch.setenv("TRACKER_RABBITMQ_URL", "amqp://my.own/")
        assert request.getfixturevalue("rabbitmq_url") == "amqp://my.own/"

    def test_queues_have_names_of_their_own(self, queue_prefix: str) -> None:
        assert len(queue_prefix) > 30
