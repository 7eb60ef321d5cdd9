"""What to ask next: made for someone with five days, not for years.

No schedule of growing gaps, as flash cards have for a language: what counts is the last answer. First what somebody was
sure of and got wrong, for that is said in the interview without a second thought; then what was wrong; then what was
right by luck; then what was never asked; then what was asked the longest ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from ..progress import Asked
from .index import block_of

History = Mapping[str, Sequence[Asked]]  # as in Progress.asked


def due(ids: Iterable[str], asked: History) -> list[str]:
    """These cards or questions, the most urgent first; those equally so, the one asked longest ago first."""
    return sorted(ids, key=lambda id: (_rank(asked.get(id, ())), asked[id][-1].at if asked.get(id) else 0))


def wrong(ids: Iterable[str], asked: History) -> list[str]:
    """Those that were wrong the last time, in the same order."""
    return [id for id in due(ids, asked) if asked.get(id) and not asked[id][-1].right]


def placement(ids: Iterable[str], asked: History, count: int) -> list[str]:
    """So many that were never asked, from as many blocks as can be, in their order."""
    fresh = [id for id in ids if not asked.get(id)]
    blocks: dict[str, list[str]] = {}
    for id in fresh:
        blocks.setdefault(block_of(id), []).append(id)
    turns = [id for turn in zip_longest(*blocks.values()) for id in turn if id]
    if len(blocks) > count:  # one of every second or third block says more than one of each of the first days
        turns = [turns[number * len(blocks) // count] for number in range(count)]
    return [id for id in fresh if id in turns[:count]]


def known(ids: Sequence[str], asked: History) -> float:
    """The share of these that were right the last time, 0 to 1."""
    return sum(bool(asked.get(id)) and asked[id][-1].right for id in ids) / len(ids)


def _rank(times: Sequence[Asked]) -> int:
    if not times:
        return 3
    last = times[-1]
    if not last.right:
        return 0 if last.sure else 1
    return 4 if last.sure else 2
