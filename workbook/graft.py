"""A candidate's work, moved from one notebook into another: how a new version of an exercise notebook keeps it.

Three notebooks: `built` is what the candidate began with, `mine` what they made of it, `fresh` the new version. A cell
is known by its id, which begins with the exercise's ("d1-b3-e3-answer-1"), so it is the same cell in all three.

    an answer cell that was changed     its text goes into the answer cell of the same id
    a cell of the candidate's own       goes behind the cell that it stands behind, or at the end of the exercise
    a built cell that was changed       stays, as a cell of their own, behind the fresh one
    what has no place any more          is returned: its exercise is gone
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

TOP = ""  # the place before the first cell


@dataclass
class Work:
    """What is the candidate's in a notebook: answers by their cell, cells of their own by the cell before them."""

    answers: dict[str, str] = field(default_factory=dict)
    own: dict[str, list[NotebookNode]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.answers or self.own)

    def text(self) -> str:
        """All of it, to be read by its author."""
        cells = [f"# {_part(cell_id)}: the answer\n{source}" for cell_id, source in self.answers.items()]
        cells += [
            f"# {_part(place)}: a cell of yours\n{cell.source}" for place, own in self.own.items() for cell in own
        ]
        return "\n\n\n".join(cells) + "\n"


def work_in(mine: NotebookNode, built: NotebookNode) -> Work:
    """The candidate's work in a notebook that was once `built`."""
    originals = {cell.id: cell for cell in built.cells}
    work, place = Work(), TOP
    for cell in mine.cells:
        original = originals.pop(cell.get("id"), None)  # a cell that was copied counts once
        if original is not None:
            place = cell.id
        if original is not None and cell.source == original.source:
            continue
        if original is not None and original.metadata.get("workbook", {}).get("role") == "answer":
            work.answers[cell.id] = cell.source
        elif cell.source.strip():
            work.own.setdefault(place, []).append(cell)
    return work


def graft(fresh: NotebookNode, work: Work) -> tuple[NotebookNode, Work]:
    """The fresh notebook with the work in it, and the work that has no place in it."""
    grown, left, places = copy.deepcopy(fresh), Work(), {TOP: TOP} | {cell.id: cell.id for cell in fresh.cells}
    ends = {_part(cell.id): cell.id for cell in fresh.cells}  # of each exercise, its last cell
    own: dict[str, list[NotebookNode]] = {}
    for behind, cells in work.own.items():
        place = places.get(behind, ends.get(_part(behind)))
        if place is None:
            left.own[behind] = cells
        else:
            own.setdefault(place, []).extend(cells)
    left.answers = {cell_id: source for cell_id, source in work.answers.items() if cell_id not in places}
    grown.cells = [*own.get(TOP, [])]
    for cell in copy.deepcopy(fresh.cells):
        cell.source = work.answers.get(cell.id, cell.source)
        grown.cells += [cell, *own.get(cell.id, [])]
    _name_anew(grown.cells, {cell.id for cell in fresh.cells})
    return grown, left


def _name_anew(cells: list[NotebookNode], built: set[str]) -> None:
    """The candidate's own cells lose all but their text; an id that is taken is made another."""
    taken: set[str] = set(built)
    kept: set[str] = set()
    for position, cell in enumerate(cells):
        if cell.id in built and cell.id not in kept:
            kept.add(cell.id)
            continue
        number, cell_id = 1, cell.get("id", "own")
        while cell_id in taken:
            number += 1
            cell_id = f"{cell.get('id', 'own')[:50]}-own-{number}"
        taken.add(cell_id)
        make = new_code_cell if cell.cell_type == "code" else new_markdown_cell
        cells[position] = make(cell.source, id=cell_id)


def _part(cell_id: str) -> str:
    """What a built cell belongs to: "d1-b3-e3-answer-1" -> "d1.b3.e3"."""
    return ".".join(cell_id.split("-")[:-2])
