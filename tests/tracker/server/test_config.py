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
