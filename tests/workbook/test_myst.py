from pathlib import Path

import jupytext
import pytest

from workbook.myst import cells
from workbook.source import BLOCKS


@pytest.mark.parametrize("file", sorted(BLOCKS.glob("**/*.md")), ids=lambda file: file.parent.name)
def test_cells_are_those_that_jupytext_finds(file: Path) -> None:
    """The oracle: jupytext's own reading of MyST."""
    theirs = [
        (dict(cell.metadata) if cell.cell_type == "code" else None, cell.source) for cell in jupytext.read(file).cells
    ]
    ours = list(cells(file.read_text()))
    assert [source for _, source in ours] == [source for _, source in theirs]
    for (options, _), (metadata, _) in zip(ours, theirs, strict=True):
        assert (options is None) == (metadata is None)
        assert {k: v for k, v in (options or {}).items() if k != "tags"} == {
            k: v for k, v in (metadata or {}).items() if k != "tags"
        }
