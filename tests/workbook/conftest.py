"""A small repository with one block that keeps the contract, to be spoilt."""

import shutil
from pathlib import Path

import pytest

from workbook.author.block import Block, read_block
from workbook.build import build_exercises, build_lesson, build_solutions
from workbook.plan import PLAN, Planned

FILES = Path(__file__).parent / "author/scratch"
FOLDER = "workbook/blocks/day9-scratch/01-clamp"


class Repository:
    """With its notebooks built."""

    solutions = "solutions/day9-scratch/01-clamp-solutions.ipynb"

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def block(self) -> Block:
        return read_block(self.root / FOLDER, self.root)

    def edit(self, file: str, before: str, after: str, places: int = 1) -> None:
        """In one of its files; a name without a folder is one of the block's."""
        path = self.root / (file if "/" in file or file.endswith(".py") else f"{FOLDER}/{file}")
        text = path.read_text()
        assert text.count(before) >= places
        path.write_text(text.replace(before, after, places))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scratch") / "repository"
    shutil.copytree(FILES, root, ignore=shutil.ignore_patterns("__pycache__"))
    block = Repository(root).block
    assert block.lesson
    build_lesson(block.lesson, root)
    build_exercises(block.source, root)
    build_solutions(block.source, root)
    return root


@pytest.fixture
def scratch(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setitem(PLAN, "d9.b1", Planned("day9-scratch/01-clamp", (30, 40)))
    return Repository(Path(shutil.copytree(built, tmp_path / "repository")))
