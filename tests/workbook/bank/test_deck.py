"""The deck, opened as what it is: a zip with a database."""

import sqlite3
import tempfile
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from workbook.bank import deck
from workbook.bank.deck import NotWritten, write
from workbook.bank.index import Bank, bank, block_of
from workbook.bank.questions import Card
from workbook.source import sources

BANK = bank(sources())


def notes(file: Path) -> dict[str, tuple[str, ...]]:
    """Of each note's guid: front, back, tags."""
    with zipfile.ZipFile(file) as zipped, closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(zipped.read("collection.anki2"))
        rows = database.execute("SELECT guid, flds, tags FROM notes").fetchall()
        assert database.execute("SELECT count(*) FROM cards").fetchone() == (len(rows),)
    return {guid: (*fields.split("\x1f"), tags.strip()) for guid, fields, tags in rows}


class TestRefused:
    def test_a_folder_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(NotWritten, match=r"there is no folder .*/new: make it, or name another"):
            write(tmp_path / "new" / "cards.apkg", BANK)
        assert list(tmp_path.iterdir()) == []

    def test_a_name_that_anki_would_not_open(self, tmp_path: Path) -> None:
        with pytest.raises(NotWritten, match=r"ends with \.apkg: name it .*/cards\.apkg"):
            write(tmp_path / "cards.txt", BANK)

    def test_what_somebody_else_wrote_is_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / "cards.apkg"
        file.write_text("my thesis")
        with pytest.raises(NotWritten, match="is no deck that this command wrote: name another file"):
            write(file, BANK)
        assert file.read_text() == "my thesis"

    def test_a_deck_that_anki_exported_is_left_alone(self, tmp_path: Path) -> None:
        """It has our notes, and the reviews of whoever learned them."""
        file = tmp_path / "cards.apkg"
        write(file, BANK)
        with zipfile.ZipFile(file) as zipped:
            collection = zipped.read("collection.anki2")
        with zipfile.ZipFile(file, "w") as zipped:
            zipped.writestr("collection.anki2", collection)
        exported = file.read_bytes()
        with pytest.raises(NotWritten, match="is no deck that this command wrote"):
            write(file, BANK)
        assert file.read_bytes() == exported

    def test_a_folder_of_that_name(self, tmp_path: Path) -> None:
        (tmp_path / "cards.apkg").mkdir()
        with pytest.raises(NotWritten, match="is no deck"):
            write(tmp_path / "cards.apkg", BANK)

    def test_a_name_that_no_file_can_have(self, tmp_path: Path) -> None:
        with pytest.raises(NotWritten, match="cannot be written: File name too long"):
            write(tmp_path / f"{'x' * 300}.apkg", BANK)

    def test_a_full_disk_leaves_the_old_deck(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "cards.apkg"
        write(file, BANK)
        old = file.read_bytes()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(NotWritten, match="cannot be written: No space left on device"):
            write(file, BANK)
        assert file.read_bytes() == old
        assert list(tmp_path.iterdir()) == [file]


def test_its_notes_are_the_cards_of_the_bank(tmp_path: Path) -> None:
    write(tmp_path / "cards.apkg", BANK)
    cards = sorted((card.front, card.back, block_of(name)) for name, card in BANK.cards.items())
    assert sorted(notes(tmp_path / "cards.apkg").values()) == cards


def test_a_second_import_changes_notes_and_adds_none(tmp_path: Path) -> None:
    file = tmp_path / "cards.apkg"
    write(file, BANK)
    before = notes(file)
    mended = dict(BANK.cards) | {"d1.b3.q1.c1": Card("Mended?", "Yes.")}
    write(file, replace(BANK, cards=mended))
    after = notes(file)
    assert before.keys() == after.keys()
    assert sum(before[guid] != after[guid] for guid in before) == 1


def test_a_card_is_text_and_not_html(tmp_path: Path) -> None:
    one = Bank({}, {"d1.b3.q1.c1": Card("Is a < b & c > d?", '"Yes" </b>')}, {})
    write(tmp_path / "cards.apkg", one)
    ((front, back, _),) = notes(tmp_path / "cards.apkg").values()
    assert (front, back) == ("Is a &lt; b &amp; c &gt; d?", '"Yes" &lt;/b&gt;')


def test_nothing_is_left_among_the_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert deck.packed(BANK)
    assert list((tmp_path / "temporary").iterdir()) == []
