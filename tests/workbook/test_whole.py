from pathlib import Path

import pytest

from workbook.whole import unused, write_whole


def test_it_replaces_the_file_and_leaves_nothing_beside(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("one", "two"):
        write_whole(file, text)
        assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    write_whole(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_is_kept_twice_in_a_second_is_kept_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda form: "20261124-120000")
    names = []
    for _ in range(3):
        file = unused(tmp_path / "a.txt")
        file.write_text("")
        names.append(file.name)
    assert names == ["a-20261124-120000.txt", "a-20261124-120000-2.txt", "a-20261124-120000-3.txt"]
    assert unused(tmp_path / "folder").name == "folder-20261124-120000"
