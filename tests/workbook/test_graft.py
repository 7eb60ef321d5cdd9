"""Random notebooks, random work in them, random newer versions: the work is in the new one, or said to be left."""

import copy
import random

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from workbook.build import exercise_notebook
from workbook.graft import Work, graft, work_in
from workbook.source import source_with


@pytest.fixture
def built() -> NotebookNode:
    source = source_with("d1.b3.e3")
    assert source
    return exercise_notebook(source)


def answer_of(notebook: NotebookNode) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.metadata.get("workbook", {}).get("role") == "answer")


def test_an_untouched_notebook_has_no_work_in_it(built: NotebookNode) -> None:
    assert not work_in(copy.deepcopy(built), built)
    assert graft(built, Work()) == (built, Work())


def test_an_answer_goes_into_its_cell(built: NotebookNode) -> None:
    mine, fresh = copy.deepcopy(built), copy.deepcopy(built)
    answer_of(mine).source = "LATEST_SQL = 'mine'"
    fresh.cells[0].source = "# Another introduction"
    grown, left = graft(fresh, work_in(mine, built))
    assert answer_of(grown).source == "LATEST_SQL = 'mine'"
    assert answer_of(grown).metadata == answer_of(fresh).metadata
    assert grown.cells[0].source == "# Another introduction"
    assert not left


def test_a_question_that_was_asked_is_no_work_and_notes_on_it_stay(built: NotebookNode) -> None:
    mine = copy.deepcopy(built)
    place = next(n for n, cell in enumerate(mine.cells) if cell.id == "d1-b3-q1-ask-1")
    mine.cells[place].outputs, mine.cells[place].execution_count = [], 7
    assert not work_in(mine, built)
    mine.cells.insert(place + 1, new_markdown_cell("what I forgot"))
    grown, left = graft(built, work_in(mine, built))
    assert not left
    assert grown.cells[place] == built.cells[place]
    assert grown.cells[place + 1].source == "what I forgot"


def test_own_cells_stay_behind_what_they_stand_behind(built: NotebookNode) -> None:
    mine = copy.deepcopy(built)
    place = mine.cells.index(answer_of(mine))
    mine.cells.insert(place + 1, new_code_cell("helper = 1", metadata={"editable": False}))
    mine.cells.insert(0, new_markdown_cell("my notes"))
    grown, left = graft(built, work_in(mine, built))
    assert [cell.source for cell in grown.cells] == [cell.source for cell in mine.cells]
    assert grown.cells[place + 2].metadata == {}
    assert not left
    nbformat.validate(grown)


def test_what_was_changed_of_ours_stays_as_theirs(built: NotebookNode) -> None:
    mine = copy.deepcopy(built)
    mine.cells[1].source += "\n\nmy remark"
    grown, _ = graft(built, work_in(mine, built))
    assert grown.cells[1] == built.cells[1]
    assert grown.cells[2].source.endswith("my remark")
    nbformat.validate(grown)


def test_a_copied_cell_stays_a_copy(built: NotebookNode) -> None:
    mine = copy.deepcopy(built)
    twin = copy.deepcopy(answer_of(mine))
    twin.source = "LATEST_SQL = 'second'"
    mine.cells.insert(mine.cells.index(answer_of(mine)) + 1, twin)  # as some editors do it, with the same id
    grown, _ = graft(built, work_in(mine, built))
    assert "LATEST_SQL = 'second'" in [cell.source for cell in grown.cells]
    nbformat.validate(grown)


def test_work_on_an_exercise_that_is_gone_is_given_back(built: NotebookNode) -> None:
    mine, fresh = copy.deepcopy(built), copy.deepcopy(built)
    answer_of(mine).source = "LATEST_SQL = 'mine'"
    mine.cells.insert(mine.cells.index(answer_of(mine)) + 1, new_code_cell("after = 1"))
    fresh.cells = [cell for cell in fresh.cells if not cell.id.startswith("d1-b3-e1")]
    grown, left = graft(fresh, work_in(mine, built))
    assert grown == fresh
    assert "# d1.b3.e1: the answer\nLATEST_SQL = 'mine'" in left.text()
    assert "# d1.b3.e1: a cell of yours\nafter = 1" in left.text()


def vary(built: NotebookNode, rng: random.Random) -> NotebookNode:
    """A newer version: some cells changed, gone, or new."""
    fresh = copy.deepcopy(built)
    for number in range(rng.randrange(6)):
        place = rng.randrange(len(fresh.cells))
        what = rng.choice(["change", "drop", "add"])
        if what == "change":
            fresh.cells[place].source += f"\n# newer {number}"
        elif what == "drop" and len(fresh.cells) > 1:
            del fresh.cells[place]
        else:
            fresh.cells.insert(place, new_code_cell(f"newer = {number}", id=f"d1-b3-e3-setup-{50 + number}"))
    return fresh


def work_on(built: NotebookNode, rng: random.Random) -> tuple[NotebookNode, set[str]]:
    """A candidate's notebook, and the texts in it that are theirs."""
    mine, texts = copy.deepcopy(built), set()
    for number in range(rng.randrange(1, 8)):
        place, text = rng.randrange(len(mine.cells)), f"mine {number}"
        what = rng.choice(["answer", "own", "copy", "delete", "move", "edit"])
        if what == "answer" and any(cell.id == answer_of(built).id for cell in mine.cells):
            cell = next(cell for cell in mine.cells if cell.id == answer_of(built).id)
            texts = {t for t in texts if t != cell.source} | {text}
            cell.source = text
        elif what == "own":
            mine.cells.insert(place, rng.choice([new_code_cell, new_markdown_cell])(text))
            texts.add(text)
        elif what == "copy":
            twin = copy.deepcopy(mine.cells[place])
            if rng.random() < 0.5:
                twin.id = f"copied{number}"
            twin.source = text
            mine.cells.insert(place + 1, twin)
            texts.add(text)
        elif what == "delete" and mine.cells[place].source not in texts:
            del mine.cells[place]
        elif what == "move":
            mine.cells.insert(rng.randrange(len(mine.cells)), mine.cells.pop(place))
    return mine, texts


@pytest.mark.parametrize("seed", range(200))
def test_no_text_of_the_candidates_is_ever_lost(built: NotebookNode, seed: int) -> None:
    rng = random.Random(seed)
    mine, texts = work_on(built, rng)
    work = work_in(mine, built)
    for _ in range(2):  # one update after the other
        fresh = vary(built, rng)
        grown, left = graft(fresh, work)
        nbformat.validate(grown)
        there = {cell.source for cell in grown.cells}
        assert all(text in there or text in left.text() for text in texts)
        assert {cell.id for cell in fresh.cells} <= {cell.id for cell in grown.cells}
        ids = [cell.id for cell in grown.cells]
        assert len(ids) == len(set(ids))
        texts = {text for text in texts if text in there}
        work, built = work_in(grown, fresh), fresh
