from pathlib import Path

import pytest

from tracker.server.config import BadSetting, Settings


def test_without_an_environment_all_is_here_and_local() -> None:
    settings = Settings.from_environment({})
    assert settings.folder == Path.cwd() / ".tracker"
    assert settings.hosts == {"127.0.0.1", "localhost", "::1"}


def test_the_environment_names_folder_and_hosts() -> None:
    settings = Settings.from_environment({"TRACKER_DIR": "/data", "TRACKER_HOSTS": "Lab.example , other"})
    assert settings.folder == Path("/data")
    assert settings.hosts == {"127.0.0.1", "localhost", "::1", "lab.example", "other"}


def test_an_empty_variable_is_no_folder() -> None:
    assert Settings.from_environment({"TRACKER_DIR": ""}).folder == Path.cwd() / ".tracker"


@pytest.mark.parametrize(
    "written",
    ["tracker.db", "mysql://a:secret@h/db", "postgresql://a:secret@h", "postgresql://a:secret@h:port/db", "://"],
)
def test_an_address_of_no_postgresql_is_refused_without_its_password(written: str) -> None:
    with pytest.raises(BadSetting, match="write postgresql://user:password@host/database") as refused:
        Settings.from_environment({"TRACKER_DATABASE_URL": written})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("written", ["0", "-1", "many", "1.5"])
def test_a_number_of_connections_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(BadSetting, match="TRACKER_DATABASE_CONNECTIONS is .*: write a whole number"):
        Settings.from_environment({"TRACKER_DATABASE_CONNECTIONS": written})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_address_of_a_postgresql_is_taken_as_people_write_it(scheme: str) -> None:
    settings = Settings.from_environment({"TRACKER_DATABASE_URL": f" {scheme}://a:b@h:5432/db?sslmode=require"})
    assert settings.database_url == "postgresql+psycopg://a:b@h:5432/db?sslmode=require"
    assert Settings.from_environment({"TRACKER_DATABASE_URL": ""}).database_url == ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TRACKER_REDIS_URL", "here", "is no address of a Redis: write one like redis://127.0.0.1:6379/0"),
        ("TRACKER_REDIS_URL", "http://here:1", "is no address of a Redis"),
        ("TRACKER_REDIS_URL", "redis://:6379", "is no address of a Redis"),
        ("TRACKER_REDIS_URL", "redis://here:port", "is no address of a Redis"),
        ("TRACKER_RATE_LIMIT", "many", "is a number above 0, of requests a second, such as 50, and not 'many'"),
        ("TRACKER_RATE_LIMIT", "0", "is a number above 0"),
        ("TRACKER_RATE_LIMIT", "-1", "is a number above 0"),
        ("TRACKER_RATE_LIMIT", "nan", "is a number above 0"),
        ("TRACKER_RATE_LIMIT", "inf", "is a number above 0"),
        ("TRACKER_STREAMS", "-1", "is '-1': write a whole number from 1 on"),
    ],
)
def test_what_makes_no_sense_is_told(name: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"{name} {says}"):
        Settings.from_environment({name: value})


def test_a_password_is_not_repeated_where_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="TRACKER_REDIS_URL") as refused:
        Settings.from_environment({"TRACKER_REDIS_URL": "http://:secret@here"})
    assert "secret" not in str(refused.value)


def test_the_environment_switches_the_further_tiers_on() -> None:
    plain = Settings.from_environment({"TRACKER_REDIS_URL": "", "TRACKER_RATE_LIMIT": "", "TRACKER_STREAMS": ""})
    assert (plain.redis_url, plain.rate_limit, plain.streams) == ("", None, 500)
    told = {"TRACKER_REDIS_URL": "rediss://:s@h:1/2", "TRACKER_RATE_LIMIT": "2.5", "TRACKER_STREAMS": "7"}
    settings = Settings.from_environment(told)
    assert (settings.redis_url, settings.rate_limit, settings.streams) == ("rediss://:s@h:1/2", 2.5, 7)


@pytest.mark.parametrize("auth", ["yes", "Required", "0"])
def test_a_word_for_auth_that_means_nothing_is_refused(auth: str) -> None:
    with pytest.raises(BadSetting, match='TRACKER_AUTH is "required" or "open"'):
        Settings.from_environment({"TRACKER_AUTH": auth})


@pytest.mark.parametrize("origin", ["*", "lab.example", "https://lab.example/page", "file:///page"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(BadSetting, match="TRACKER_ORIGINS has .* write one like https://lab.example"):
        Settings.from_environment({"TRACKER_ORIGINS": origin})


def test_origins_are_written_as_browsers_write_them() -> None:
    settings = Settings.from_environment({"TRACKER_ORIGINS": "https://Lab.example/ , http://127.0.0.1:8888"})
    assert settings.origins == {"https://lab.example", "http://127.0.0.1:8888"}


@pytest.mark.parametrize(
    ("host", "auth", "database_url", "needed"),
    [
        ("127.0.0.1", "", "", False),
        ("localhost", "", "", False),
        ("::1", "", "", False),
        ("0.0.0.0", "", "", True),
        ("::", "", "", True),
        ("lab.example", "", "", True),
        ("127.0.0.1", "", "postgresql://db/tracker", True),
        ("127.0.0.1", "required", "", True),
        ("0.0.0.0", "open", "postgresql://db/tracker", False),
    ],
)
def test_keys_are_needed_where_others_reach_the_data(host: str, auth: str, database_url: str, needed: bool) -> None:
    assert Settings(host=host, auth=auth, database_url=database_url).keys_needed is needed


def test_what_is_secret_is_not_shown() -> None:
    assert "hidden" not in repr(Settings(secret="hidden", database_url="postgresql://u:hidden@db/x"))
