from typing import Any

from workbook.author.block import blocks
from workbook.plan import PLAN


def test_every_block_is_found_by_its_id_where_the_plan_has_it() -> None:
    found = blocks()
    assert [block.id for block in found] == sorted({block.id for block in found} | {"d0.b0", "d1.b3"})
    for block in found:
        assert block.folder.as_posix().endswith(f"workbook/blocks/{PLAN[block.id].path}")
        assert (block.lesson is None) == (block.id == "d0.b0")
        assert block.exercises == list(block.source.exercises.values())


def test_one_of_another_repository_has_its_paths_there(scratch: Any) -> None:
    (block,) = blocks(scratch.root)
    assert (block.id, block.root) == ("d9.b1", scratch.root)
    assert str(block.source.path) == "workbook/blocks/day9-scratch/01-clamp/exercises.md"
    assert str(block.lesson and block.lesson.path) == "workbook/blocks/day9-scratch/01-clamp/lesson.md"
