"""The contract holds for every block."""

from functools import cache

import pytest

from workbook.author.block import Block, blocks
from workbook.author.contract import CONTRACT, Line
from workbook.author.evidence import Evidence

BLOCKS = blocks()
NAMES = [block.id for block in BLOCKS]
LINES = [f"{line.number}-{line.name}" for line in CONTRACT]


@cache
def evidence(block: Block) -> Evidence:
    found = Evidence(block)
    found.gather()
    return found


@pytest.mark.parametrize("line", CONTRACT, ids=LINES)
@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_the_contract_holds(block: Block, line: Line) -> None:
    assert list(line.broken(evidence(block))) == []
