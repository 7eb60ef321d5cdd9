"""A part of a list, and the cursor of the next part.

Pages are cut by *where the last row stood* (keyset), not by how many rows came before (offset): a row that is added or
deleted meanwhile neither repeats nor hides another. A cursor is opaque to the client, so that what is in it may change:
base64 of the JSON [order, ...], where `order` says which list it belongs to, and the rest where its last row stood.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..problem import BadCursor

PAGE = 50  # rows of a list, where the request does not say


@dataclass
class Page:
    """Some rows, and the cursor of the next ones (None: these were the last)."""

    items: list[Any]
    next: str | None


def is_more(rows: Sequence[Any], limit: int) -> bool:
    """Whether rows that were asked for with `limit + 1` have a next page."""
    return len(rows) > limit


def to_cursor(order: str, *place: float | str) -> str:
    """The cursor of the page after the row that stood at `place` in this order."""
    return base64.urlsafe_b64encode(json.dumps([order, *place]).encode()).decode().rstrip("=")


def from_cursor(cursor: str, order: str) -> list[Any]:
    """The `place` in a cursor of this order; its last entry is an id. Raises BadCursor."""
    try:
        place: list[Any]
        found, *place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if found == order and type(place[-1]) is int and 0 < place[-1] < 2**63:
            return place
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    raise BadCursor("this cursor is not one that we handed out for this list; begin again without one")
