"""Whole numbers in a path or a query, where all is text: their digits, and nothing else.

pydantic would also take "+7", "7.0", "7_0", " 7", and "7" before a no-break space; our own document says that these
are no integers.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator, Field

from tracker.values import MAX_INTEGER, MAX_SHOWN


def _in_digits(given: Any) -> Any:
    if isinstance(given, str) and not re.fullmatch("-?[0-9]+", given):
        raise ValueError("send a whole number, in digits")
    return given


_DIGITS = BeforeValidator(_in_digits)  # after the bounds: before them, the document would not name these

AnId = Annotated[int, Field(ge=1, le=MAX_INTEGER), _DIGITS]
Id = Annotated[AnId, Path()]
Step = Annotated[int, Field(ge=0, le=MAX_INTEGER), _DIGITS]
Rows = Annotated[int, Field(ge=1, le=200, description="rows of a page"), _DIGITS]
Limit = Annotated[Rows, Query()]
MaxPoints = Annotated[int, Query(ge=1, le=MAX_SHOWN, description="more points than this come as buckets"), _DIGITS]
