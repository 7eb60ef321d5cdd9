"""The contract, for every lesson there is: its form, and that it holds on a computer without PostgreSQL."""

import os
import re
from pathlib import Path

import pytest

from workbook import build
from workbook.labs.postgres import SWITCH
from workbook.source import ROOT, Cell, Lesson, lessons

FOLDED = re.compile(r"<details>.*?</details>|^\|.*$|^```.*?^```", re.DOTALL | re.MULTILINE)  # and tables, and drawings
LESSONS = pytest.mark.parametrize("lesson", lessons(), ids=[lesson.title for lesson in lessons()])


def code(lesson: Lesson) -> list[Cell]:
    return [cell for cell in lesson.cells if cell.role == "code"]


@LESSONS
def test_its_cells_are_few_and_short(lesson: Lesson) -> None:
    assert 14 <= len(lesson.cells) <= 25
    for cell in lesson.cells:
        if cell.role == "text":
            assert len(FOLDED.sub("", cell.source).split()) <= 80, cell.source
        else:
            assert len(cell.source.splitlines()) <= 15, cell.source
            assert [line for line in cell.source.splitlines() if len(line) > 100] == []


@LESSONS
def test_it_has_the_parts_that_readers_look_for(lesson: Lesson) -> None:
    text = "\n".join(cell.source for cell in lesson.cells if cell.role == "text")
    assert re.search(r"^\*Day \d, block \d · lesson, \d\d minutes · needs .+\*$", text, re.MULTILINE)
    parts = ["**Out of scope:**", "**You will be able to**", "## Two questions first", "## 1 · "]
    parts += ["## Recap", "**Say it aloud", "**Next:**"]
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


@LESSONS
def test_each_section_asks_before_it_shows_and_ends_with_a_rule(lesson: Lesson) -> None:
    sections = re.split(r"(?=^## )", "\n".join(c.source for c in lesson.cells), flags=re.MULTILINE)
    numbered = [section for section in sections if re.match(r"## \d · ", section)]
    assert 4 <= len(numbered) <= 5
    for section in numbered:
        assert 0 < section.find("**Guess") < section.find("**The rule:**"), section


@LESSONS
def test_a_live_cell_says_what_must_hold(lesson: Lesson) -> None:
    for cell in code(lesson):
        assert "live" not in cell.tags or re.search(r"^assert ", cell.source, re.MULTILINE), cell.source


@LESSONS
def test_building_it_without_postgres_changes_no_byte(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs there, and what is not live is the same; with PostgreSQL it is run by nbval."""
    if not build._is_pristine(ROOT / lesson.notebook) and os.environ.get("CI") != "true":
        pytest.skip("somebody wrote in this lesson")
    monkeypatch.setenv(SWITCH, "off")
    copied = tmp_path / lesson.notebook
    copied.parent.mkdir(parents=True)
    copied.write_bytes((ROOT / lesson.notebook).read_bytes())
    assert build.build_lesson(lesson, tmp_path).outcome == "unchanged"
