"""The cards of the bank as an Anki deck.

    cards.apkg            a zip, with MARK as its comment
      collection.anki2    an SQLite database: a note per card, its tag the block
      media               {}: there are no pictures

A note's guid is made of the card's id, so importing a newer deck changes the notes that are there and adds the new
ones. MARK tells our file from one that Anki exported: in that one may be years of somebody's reviews.
"""

from __future__ import annotations

import html
import io
import sqlite3
import time
import zipfile
from itertools import count
from pathlib import Path

import genanki

from ..whole import write_whole
from .index import Bank, block_of

MARK = b"tracker-workbook cards"
DECK, MODEL = 1_764_158_401, 1_764_158_402  # drawn once: by them Anki knows the deck and the form of its notes
NAME = "Tracker workbook"


class NotWritten(Exception):
    """The deck could not be written; the text says why. What was there still is."""


def write(file: Path, bank: Bank) -> None:
    """Writes the deck, over an older one of ours. Raises NotWritten."""
    if file.suffix != ".apkg":
        raise NotWritten(f"Anki opens what ends with .apkg: name it {file.with_suffix('.apkg')}")
    try:
        if not file.parent.is_dir():
            raise NotWritten(f"there is no folder {file.parent}: make it, or name another")
        if file.exists() and not ours(file):
            raise NotWritten(f"{file} is no deck that this command wrote: name another file, or move that one away")
        write_whole(file, packed(bank))
    except OSError as error:
        raise NotWritten(f"{file} cannot be written: {error.strerror}") from None


def ours(file: Path) -> bool:
    """Whether this module wrote the file."""
    try:
        with zipfile.ZipFile(file) as deck:
            return deck.comment == MARK
    except (OSError, zipfile.BadZipFile):
        return False


def packed(bank: Bank) -> bytes:
    """The file's content."""
    package = genanki.Package(_deck(bank))
    now = time.time()
    # genanki's own write_to_file leaves its database behind among the temporary files.
    database = sqlite3.connect(":memory:")
    package.write_to_db(database.cursor(), now, count(int(now * 1000)))
    database.commit()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("collection.anki2", database.serialize())
        zipped.writestr("media", "{}")
        zipped.comment = MARK
    database.close()
    return packed.getvalue()


def _deck(bank: Bank) -> genanki.Deck:
    model = genanki.Model(
        MODEL,
        NAME,
        fields=[{"name": "Front"}, {"name": "Back"}],
        templates=[{"name": "Card", "qfmt": "{{Front}}", "afmt": '{{FrontSide}}<hr id="answer">{{Back}}'}],
        css=".card { font: 20px sans-serif; text-align: center; }",
    )
    deck = genanki.Deck(DECK, NAME)
    for id, card in bank.cards.items():
        sides = [html.escape(side, quote=False) for side in (card.front, card.back)]
        deck.add_note(genanki.Note(model, sides, guid=genanki.guid_for(id), tags=[block_of(id)]))
    return deck
