"""What an author begins with: refused where it would touch what is there, and otherwise in form but for its marks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbook.author import form
from workbook.author.block import Block, blocks, read_block
from workbook.author.contract import CONTRACT, limited, refused
from workbook.author.evidence import SOLUTION, UNTOUCHED, Evidence
from workbook.author.scaffold import NotMade, new_block, new_exercise
from workbook.build import build_exercises, build_lesson, build_solutions
from workbook.check import State
from workbook.kinds import KINDS
from workbook.plan import PLAN

FOLDER = "workbook/blocks/day1-python-backend-db/01-python-warmup"
READ = [form.ids, form.hints, form.questions, form.snippets, form.limits, form.skips, form.size, form.anatomy]
A_MARK = re.compile(r"[a-z]+\.(md|yaml):\d+: TODO: .")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without a block."""
    (tmp_path / "workbook/blocks").mkdir(parents=True)
    return tmp_path


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Block:
    """A new block, with one more exercise for each kind of answer."""
    root = tmp_path_factory.mktemp("repository")
    (root / "workbook").mkdir()
    new_block("d1.b1", root)
    for number, kind in enumerate(KINDS, 4):
        new_exercise(f"d1.b1.e{number}", kind, extra=True, root=root)
    return read_block(root / FOLDER, root)


def everything(root: Path) -> dict[Path, str | None]:
    return {path: path.read_text() if path.is_file() else None for path in root.rglob("*")}


def complaints(block: Block) -> list[str]:
    return [complaint for rule in READ for complaint in rule(block)]


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("d1.b9", "the study plan has no block 'd1.b9'; not written yet are d0.b0, d1.b2, d1.b3, d1.b4"),
        ("warm-up", "the study plan has no block 'warm-up'"),
        ("d0.b0", "d0.b0 is the start notebook: it has no lesson, and is there already"),
        (
            "d1.b1",
            f"d1.b1 is there already, in {FOLDER}, and nothing in it was changed: `workbook author new exercise`",
        ),
    ],
)
def test_a_block_that_cannot_be_made_is_refused(root: Path, block: str, says: str) -> None:
    new_block("d1.b1", root)
    before = everything(root)
    with pytest.raises(NotMade) as reason:
        new_block(block, root)
    assert str(reason.value).startswith(says)
    assert everything(root) == before


def test_a_folder_that_an_author_began_by_hand_is_not_touched(root: Path) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / "lesson.md").write_text("mine")
    with pytest.raises(NotMade, match="is there already"):
        new_block("d1.b1", root)
    assert (root / FOLDER / "lesson.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("exercise", "language", "says"),
    [
        ("d1.b2.e1", "Python", "d1.b2 is not written yet: first `workbook author new block d1.b2`"),
        ("d1.b9.e1", "Python", "the study plan has no block 'd1.b9'; not written yet are d0.b0, d1.b2"),
        ("d1.b1.e2", "Python", "d1.b1.e2 is there already: the next free id is d1.b1.e4"),
        ("d1.b1.e6", "Python", "d1.b1 has 3 exercises: the next one is d1.b1.e4, not d1.b1.e6"),
        ("d1.b1.e4", "COBOL", "no check takes answers in 'COBOL': say one of Python, SQL, YAML, shell, file, text"),
        *(
            (
                malformed,
                "Python",
                f"an exercise's id has the form d1.b3.e6 (day 1, block 3, exercise 6), not {malformed!r}",
            )
            for malformed in ("d1.b1", "d1.b1.q4", "d1.b1.e0", "d1.b1.e04", "d1.b1.e4 ", "")
        ),
    ],
)
def test_an_exercise_that_cannot_be_added_is_refused(root: Path, exercise: str, language: str, says: str) -> None:
    new_block("d1.b1", root)
    before = everything(root)
    with pytest.raises(NotMade) as reason:
        new_exercise(exercise, language, root=root)
    assert str(reason.value).startswith(says)
    assert everything(root) == before


@pytest.mark.parametrize("written", [1, 2, 3])
def test_ctrl_c_leaves_nothing_half_written(root: Path, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    before, calls = everything(root), []

    def interrupted(_: int) -> None:
        calls.append(1)
        if len(calls) == written:
            raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        new_block("d1.b1", root)
    assert everything(root) == before


FULL = """
import resource, sys
from pathlib import Path
from workbook.author.scaffold import NotMade, new_block, new_exercise
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # bytes: some of the files fit
try:
    {call}
except NotMade as reason:
    sys.exit(str(reason))
"""


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("new_block('d1.b2', Path('.'))", "d1.b2 cannot be written: File too large. Nothing of it is there\n"),
        (
            "new_exercise('d1.b1.e4', root=Path('.'))",
            f"{FOLDER}/exercises.md cannot be written: File too large. It is as it was\n",
        ),
    ],
)
def test_a_full_disk_leaves_all_as_it_was(root: Path, call: str, says: str) -> None:
    new_block("d1.b1", root)
    before = everything(root)
    command = [sys.executable, "-c", FULL.format(call=call)]
    ran = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, says)
    assert everything(root) == before


@pytest.mark.parametrize("block", [name for name in PLAN if name != "d0.b0"])
def test_each_block_of_the_plan_is_in_form_but_for_its_marks(root: Path, block: str) -> None:
    files = new_block(block, root)
    assert [file.name for file in files] == ["lesson.md", "exercises.md", "questions.yaml", "asked.yaml"]
    (made,) = blocks(root)
    assert made.id == block
    assert all(6 <= exercise.minutes <= form.CORE for exercise in made.exercises)
    found = complaints(made)
    assert [complaint for complaint in found if not A_MARK.match(complaint)] == []
    assert len(found) == sum((root / file).read_text().count("TODO:") for file in files)


def test_each_mark_says_where_it_is_and_what_belongs_there(root: Path) -> None:
    new_block("d1.b1", root)
    found = complaints(read_block(root / FOLDER, root))
    assert "lesson.md:12: TODO: python warmup, spelt as a title" in found
    assert "exercises.md:41: TODO: what to tell whoever made the first mistake" in found
    assert "questions.yaml:8: TODO: what a good candidate asks back, because the answer depends on it" in found
    for complaint in found:
        name, line, mark = complaint.split(":", 2)
        assert mark.strip() in (root / FOLDER / name).read_text().split("\n")[int(line) - 1]


def test_an_exercise_without_its_marks_is_in_form(root: Path) -> None:
    (root / FOLDER).parent.mkdir(parents=True)
    new_block("d1.b1", root)
    file = root / FOLDER / "exercises.md"
    before, first, rest = re.split(r"(?=^## d1\.b1\.e[12])", file.read_text(), flags=re.MULTILINE)
    file.write_text(before + first.replace("TODO: ", "") + rest)
    block = read_block(root / FOLDER, root)
    of_exercises = [mark for mark in complaints(block) if mark.startswith("exercises.md")]
    lines = [int(mark.split(":")[1]) for mark in of_exercises]
    begins, ends = before.count("\n") + 1, (before + first).count("\n")
    assert [line for line in lines if begins <= line <= ends] == []
    assert [line for line in lines if line < begins]
    assert [line for line in lines if line > ends]
    assert [complaint for complaint in refused(Evidence(block)) if "d1.b1.e1" in complaint] == []


def test_an_exercise_of_each_kind_is_in_form_but_for_its_marks(every_kind: Block) -> None:
    assert [exercise.language for exercise in every_kind.exercises[3:]] == list(KINDS)
    assert {exercise.weight for exercise in every_kind.exercises[3:]} == {"extra"}
    assert [complaint for complaint in complaints(every_kind) if not A_MARK.match(complaint)] == []


def test_untouched_it_is_not_attempted_and_its_answers_are_judged_as_they_say(every_kind: Block) -> None:
    evidence = Evidence(every_kind)
    for exercise in every_kind.exercises:
        assert evidence.verdicts[exercise.id, UNTOUCHED].state is State.NOT_ATTEMPTED, exercise.id
        best = State.SOLVED if KINDS[exercise.language].graded else State.SELF_SCORED
        assert evidence.verdicts[exercise.id, SOLUTION].state is best, exercise.id
    assert list(refused(evidence)) == []
    assert list(limited(evidence)) == []


@pytest.mark.thorough
def test_its_notebooks_are_built_and_the_rest_of_the_contract_holds(root: Path) -> None:
    new_block("d1.b1", root)
    block = read_block(root / FOLDER, root)
    assert block.lesson
    for file in (build_lesson(block.lesson, root), build_exercises(block.source, root)):
        assert file.outcome == "written"
    assert build_solutions(block.source, root).outcome == "written"
    evidence = Evidence(block)
    evidence.gather()
    broken = {line.number: list(line.broken(evidence)) for line in CONTRACT}
    assert {number for number, found in broken.items() if found} == {7, 16}
    assert [one for found in broken.values() for one in found if not A_MARK.match(one)] == []


def test_an_exercise_is_added_before_what_follows_the_last_one(root: Path) -> None:
    new_block("d1.b1", root)
    file = root / FOLDER / "exercises.md"
    text = file.read_text().rstrip().replace("# TODO: what really happens\n", "## no heading, but a comment\n")
    file.write_text(f"{text}\n\n+++\n\n## And then?\n\nThe end, with no line after it")
    new_exercise("d1.b1.e4", "sql", root=root)
    written = file.read_text()
    assert written.startswith(f"{text}\n\n+++\n\n## d1.b1.e4 ·")
    assert "+++\n\n+++" not in written
    assert written.endswith("\n</details>\n\n+++\n\n## And then?\n\nThe end, with no line after it\n")
    block = read_block(root / FOLDER, root)
    assert [exercise.id for exercise in block.exercises] == [f"d1.b1.e{number}" for number in (1, 2, 3, 4)]
    assert (block.exercises[3].kind, block.exercises[3].weight) == ("implement (SQL)", "core")
    assert (block.source.cells[-1].source, block.source.cells[-1].exercise) == (
        "## And then?\n\nThe end, with no line after it",
        None,
    )


def test_the_first_exercise_of_a_file_comes_after_its_introduction(root: Path) -> None:
    new_block("d1.b1", root)
    (root / FOLDER / "exercises.md").write_text("# 1.1 · Python: exercises\n\nNone yet.\n")
    new_exercise("d1.b1.e1", root=root)
    block = read_block(root / FOLDER, root)
    assert [exercise.id for exercise in block.exercises] == ["d1.b1.e1"]
    assert (block.source.cells[0].source, block.source.cells[0].exercise) == (
        "# 1.1 · Python: exercises\n\nNone yet.",
        None,
    )


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.id)
def test_a_written_block_holds_no_mark(block: Block) -> None:
    assert list(form.marks(block, "lesson.md", "exercises.md", "questions.yaml", "asked.yaml")) == []
