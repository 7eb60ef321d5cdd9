import json
import os
import re
from pathlib import Path

import nbformat
import pytest

from workbook import build
from workbook.check import VERDICT
from workbook.source import ROOT, Cell, Lesson, Source, SourceError, lessons, read, sources

SOURCES = sources()
NAMES = [source.title for source in SOURCES]
BUILT = [*(path for source in SOURCES for path in source.notebooks), *(lesson.notebook for lesson in lessons())]


def outcomes(**options: bool) -> dict[str, str]:
    return {str(b.path.relative_to(ROOT)): b.outcome for b in build.build(check=True, **options)}


def test_the_notebooks_are_what_their_sources_say() -> None:
    """On a candidate's machine their answers are no drift; in CI nobody has answered anything."""
    assert set(outcomes(strict=os.environ.get("CI") == "true").values()) == {"unchanged"}


def test_there_is_no_notebook_without_a_source() -> None:
    found = {
        path.relative_to(ROOT)
        for folder in ("solutions", *(["notebooks", "exercises"] if os.environ.get("CI") == "true" else []))
        for path in (ROOT / folder).rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    }
    assert found <= set(BUILT)


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_an_exercise_notebook_gives_nothing_away(source: Source) -> None:
    text = json.dumps(build.exercise_notebook(source), ensure_ascii=False)
    for exercise in source.exercises.values():
        assert json.dumps(exercise.stub, ensure_ascii=False)[1:-1] in text
        assert json.dumps(exercise.solution, ensure_ascii=False)[1:-1] not in text
        for explained in source.explained[exercise.id]:
            assert json.dumps(explained, ensure_ascii=False)[1:-1] not in text
        for variant in exercise.variants:
            assert json.dumps(variant.source, ensure_ascii=False)[1:-1] not in text


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_only_answers_can_be_edited_and_no_cell_of_ours_deleted(source: Source) -> None:
    for cell in build.exercise_notebook(source).cells:
        if cell.cell_type == "code" and cell.metadata.workbook.role != "scratch":
            assert cell.metadata.deletable is False
            assert cell.metadata.get("editable", True) is (cell.metadata.workbook.role == "answer")


def test_only_a_spoken_question_shows_something_before_it_is_run() -> None:
    for source in SOURCES:
        for cell in build.exercise_notebook(source).cells:
            if cell.cell_type == "code":
                assert bool(cell.outputs) is (cell.metadata.workbook.role == "ask")
                assert cell.execution_count is None


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_solution_shows_its_verdicts_and_reasons(source: Source) -> None:
    notebook = nbformat.read(ROOT / source.notebooks[1], 4)
    shown = [
        o.data[VERDICT]["state"] for c in notebook.cells for o in c.get("outputs", []) if VERDICT in o.get("data", {})
    ]
    assert shown == ["solved"] * len(source.exercises)
    text = "\n".join(cell.source for cell in notebook.cells)
    for exercise in source.exercises.values():
        assert all(explained in text for explained in source.explained[exercise.id])


@pytest.mark.parametrize("path", BUILT, ids=str)
def test_every_link_leads_somewhere(path: Path) -> None:
    for cell in nbformat.read(ROOT / path, 4).cells:
        for link in re.findall(r"\]\(([^)#]+)", cell.source if cell.cell_type == "markdown" else ""):
            assert (ROOT / path).parent.joinpath(link).exists(), link


def test_ids_come_from_the_exercise_and_are_all_different() -> None:
    every: set[str] = set()
    for source in SOURCES:
        for notebook in (build.exercise_notebook(source), build.solution_notebook(source)):
            ids = [cell.id for cell in notebook.cells]
            assert len(ids) == len(set(ids))
            every.update(ids)
    assert "d1-b3-e3-answer-1" in every


DICE = ("import random", "random.random()", "1 + 1", "random.random()")  # the second and the last are live


def dice(*code: str) -> Lesson:
    tags = ((), ("live",), (), ("live",))
    cells = [Cell("code", source, tags=tags[number]) for number, source in enumerate(code or DICE)]
    path = Path("workbook/blocks/day9/01-dice/lesson.md")
    return Lesson(path, "Dice", (Cell("text", "# Dice"), *cells[:2], Cell("text", "## 4 · A section"), *cells[2:]))


@pytest.fixture(scope="module")
def built_dice(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = tmp_path_factory.mktemp("built")
    assert build.build_lesson(dice(), root).outcome == "written"
    return (root / dice().notebook).read_bytes()


class TestALesson:
    @pytest.fixture
    def file(self, tmp_path: Path, built_dice: bytes) -> Path:
        file = tmp_path / dice().notebook
        file.parent.mkdir(parents=True)
        file.write_bytes(built_dice)
        return file

    def shown(self, file: Path) -> list[str]:
        cells = nbformat.read(file, 4).cells
        return [output.data["text/plain"] for cell in cells for output in cell.get("outputs", [])]

    def test_its_cells_are_named_by_section_and_live_ones_are_marked_for_nbval(self, file: Path) -> None:
        cells = nbformat.read(file, 4).cells
        assert [c.id for c in cells] == [
            *("top-text-1", "top-code-1", "top-code-2", "4-text-1", "4-code-1", "4-code-2")
        ]
        assert [c.metadata.get("tags", []) for c in cells] == [
            *([], [], ["live", "nbval-ignore-output"], [], [], ["live", "nbval-ignore-output"])
        ]
        assert len(self.shown(file)) == 3

    def test_building_it_again_changes_no_byte_though_its_dice_fall_otherwise(self, file: Path, tmp_path: Path) -> None:
        before = file.read_bytes()
        assert build.build_lesson(dice(), tmp_path).outcome == "unchanged"
        assert file.read_bytes() == before

    def test_live_outputs_are_renewed_when_asked_for(self, file: Path, tmp_path: Path) -> None:
        first, two, last = self.shown(file)
        assert build.build_lesson(dice(), tmp_path, refresh_live=True).outcome == "written"
        again = self.shown(file)
        assert again[1] == two
        assert first != again[0]
        assert last != again[2]

    @pytest.mark.parametrize("code", [(*DICE[:2], "2 + 1 - 1", DICE[3]), (*DICE[:2], "5", DICE[3])])
    def test_live_outputs_are_kept_up_to_what_was_changed(
        self, file: Path, tmp_path: Path, code: tuple[str, ...]
    ) -> None:
        first, _, last = self.shown(file)
        assert build.build_lesson(dice(*code), tmp_path).outcome == "written"
        again = self.shown(file)
        assert again[0] == first
        assert again[2] != last

    def test_live_outputs_are_renewed_when_another_output_is_another(self, file: Path, tmp_path: Path) -> None:
        """The lesson is the same, but not what it shows of the tracker."""
        notebook = nbformat.read(file, 4)
        notebook.cells[4].outputs[0].data["text/plain"] = "3"
        nbformat.write(notebook, file)
        first, _, last = self.shown(file)
        assert build.build_lesson(dice(), tmp_path).outcome == "written"
        assert self.shown(file)[:2] == [first, "2"]
        assert self.shown(file)[2] != last

    def test_one_in_which_a_reader_wrote_is_never_written(self, file: Path, tmp_path: Path) -> None:
        notebook = nbformat.read(file, 4)
        notebook.cells[0].source += "\n\nmy guess: 7"
        nbformat.write(notebook, file)
        before = file.read_bytes()
        assert build.build_lesson(dice(), tmp_path).outcome == "kept"
        assert file.read_bytes() == before

    def test_drift_is_another_source_and_in_ci_anything_but_outputs(self, file: Path, tmp_path: Path) -> None:
        def outcome(lesson: Lesson, strict: bool = False) -> str:
            return build.build_lesson(lesson, tmp_path, check=True, strict=strict).outcome

        assert outcome(dice()) == outcome(dice(), strict=True) == "unchanged"
        assert outcome(dice("import random", "2", "3", "4")) == "stale"
        notebook = nbformat.read(file, 4)
        notebook.metadata.language_info.version = "3.13"  # as JupyterLab saves it
        nbformat.write(notebook, file)
        assert outcome(dice()) == "unchanged"
        assert outcome(dice(), strict=True) == "stale"
        file.unlink()
        assert outcome(dice()) == "stale"


class TestACandidatesNotebook:
    @pytest.fixture
    def source(self) -> Source:
        return SOURCES[0]

    @pytest.fixture
    def file(self, tmp_path: Path, source: Source) -> Path:
        file = tmp_path / source.notebooks[0]
        assert build._write(file, build.exercise_notebook(source)) == "written"
        return file

    def edit(self, file: Path, text: str = "mine") -> None:
        notebook = nbformat.read(file, 4)
        (answer,) = [cell for cell in notebook.cells if cell.id == "d0-b0-e1-answer-1"]
        answer.source = text
        nbformat.write(notebook, file)

    def outcome(self, tmp_path: Path, source: Source, **options: bool) -> str:
        return build.build_exercises(source, tmp_path, **options).outcome

    def test_an_untouched_one_is_built_again(self, file: Path, tmp_path: Path, source: Source) -> None:
        before = file.read_text()
        assert self.outcome(tmp_path, source) == "unchanged"
        notebook = nbformat.read(file, 4)
        notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="run all")]
        notebook.cells[2].execution_count = 1
        nbformat.write(notebook, file)
        assert self.outcome(tmp_path, source) == "written"
        assert file.read_text() == before

    def test_one_with_an_answer_is_never_written(self, file: Path, tmp_path: Path, source: Source) -> None:
        self.edit(file)
        before = file.read_bytes()
        assert self.outcome(tmp_path, source) == "kept"
        assert file.read_bytes() == before

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": []}', "my notes"])
    def test_one_that_is_no_notebook_any_more_is_never_written(
        self, file: Path, tmp_path: Path, source: Source, content: str
    ) -> None:
        file.write_text(content)
        assert self.outcome(tmp_path, source) == "kept"
        assert file.read_text() == content

    def test_an_answer_is_drift_only_where_nobody_answers(self, file: Path, tmp_path: Path, source: Source) -> None:
        self.edit(file)
        assert self.outcome(tmp_path, source, check=True) == "unchanged"
        assert self.outcome(tmp_path, source, check=True, strict=True) == "stale"

    def test_a_source_that_changed_is_drift_with_and_without_an_answer(
        self, file: Path, tmp_path: Path, source: Source
    ) -> None:
        notebook = nbformat.read(file, 4)
        notebook.cells[0].source = "# an older text"
        notebook.metadata.workbook.digest = build.digest(notebook)
        nbformat.write(notebook, file)
        assert self.outcome(tmp_path, source, check=True) == "stale"
        self.edit(file)
        assert self.outcome(tmp_path, source, check=True) == "stale"

    def test_a_missing_one_is_drift_and_is_built(self, file: Path, tmp_path: Path, source: Source) -> None:
        file.unlink()
        assert self.outcome(tmp_path, source, check=True) == "stale"
        assert self.outcome(tmp_path, source) == "written"


def test_a_solution_that_is_wrong_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / SOURCES[0].path).read_text()
    solution = "return min(healthy, key=healthy.get, default=None)"
    assert solution in text
    file = tmp_path / "exercises.md"
    file.write_text(text.replace(solution, "return 'slow'"))
    source = read(file)
    notebook = build.solution_notebook(source)
    build.execute(notebook)
    with pytest.raises(SourceError, match="the solution of d0.b0.e1 is wrong: the name of the lowest loss"):
        build._all_solved(notebook, source)


def test_a_solution_of_another_source_is_drift() -> None:
    file = ROOT / SOURCES[0].notebooks[1]
    assert not build._solution_differs(file, build.solution_notebook(SOURCES[0]))
    assert build._solution_differs(file, build.solution_notebook(SOURCES[1]))
    assert build._solution_differs(file.with_name("missing"), build.solution_notebook(SOURCES[0]))
