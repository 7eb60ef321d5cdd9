from pathlib import Path

from tracker.server.config import Settings


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
