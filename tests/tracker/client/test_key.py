from pathlib import Path

import pytest

from tracker.client.key import BadKey, find_key

KEY = "trk_" + "a" * 43


def keep(file: Path, text: str = KEY, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("key", ["two words", "trk_\nEvil: yes", "t\u00e4st", "a" * 201])
def test_what_cannot_be_a_key_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadKey, match="TRACKER_KEY holds no key: one looks like trk_"):
        find_key({"TRACKER_KEY": key})
    with pytest.raises(BadKey, match="key holds no key"):
        find_key({"TRACKER_DIR": str(keep(tmp_path / "key", key).parent)})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    file = keep(tmp_path / "key", mode=mode)
    with pytest.raises(BadKey, match=f"others can read the key in {file}: chmod 600 {file}"):
        find_key({"TRACKER_KEY_FILE": str(file)})


def test_a_named_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="there is no key file"):
        find_key({"TRACKER_KEY_FILE": str(tmp_path / "nothing")})
    with pytest.raises(BadKey, match="cannot be read"):
        find_key({"TRACKER_KEY_FILE": str(tmp_path)})


def test_an_empty_file_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="holds no key"):
        find_key({"TRACKER_KEY_FILE": str(keep(tmp_path / "key", ""))})


def test_none_is_needed(tmp_path: Path) -> None:
    assert find_key({"TRACKER_DIR": str(tmp_path)}) == ""
    assert find_key({"TRACKER_DIR": str(keep(tmp_path / "file") / "below")}) == ""


def test_the_first_of_three_places_counts(tmp_path: Path) -> None:
    keep(tmp_path / "key", "in-folder\n")
    environment = {"TRACKER_DIR": str(tmp_path)}
    assert find_key(environment) == "in-folder"
    environment["TRACKER_KEY_FILE"] = str(keep(tmp_path / "other", "in-file"))
    assert find_key(environment) == "in-file"
    assert find_key(environment | {"TRACKER_KEY": f" {KEY} "}) == KEY
