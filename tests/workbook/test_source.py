from pathlib import Path

import pytest

from workbook.source import SourceError, lessons, read, read_lesson, source_with, sources

GOOD = """---
kernelspec: {}
---
# Title

Introduction.

```{code-cell} ipython3
:role: scratch
:tags: [live, x-y]

1 + 1
```

## d1.b1.e1 · First

*5 minutes · core · implement (Python) · needs nothing but Python*

Text.

```{code-cell} ipython3
:role: answer

def f():
    raise NotImplementedError
```

```{code-cell} ipython3
:role: check

with check("d1.b1.e1"):
    assert f() == 1
```

Hint.

```{code-cell} ipython3
:role: wrong
:name: two
:says: not two

def f():
    return 2
```

```{code-cell} ipython3
:role: right
:name: another

f = lambda: 1
```

### Solution

```{code-cell} ipython3
:role: solution

def f():
    return 1
```

Why.

+++

Otherwise.

## After

The end.
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "exercises.md"
    file.write_text(text)
    return file


def test_a_source_is_taken_apart(tmp_path: Path) -> None:
    source = read(write(tmp_path, GOOD))
    assert source.title == "Title"
    assert [(c.role, c.exercise) for c in source.cells] == [
        ("text", None),
        ("scratch", None),
        ("text", "d1.b1.e1"),
        ("answer", "d1.b1.e1"),
        ("check", "d1.b1.e1"),
        ("text", "d1.b1.e1"),
        ("text", None),
    ]
    assert source.cells[1].tags == ("live", "x-y")
    exercise = source.exercises["d1.b1.e1"]
    assert (exercise.title, exercise.minutes, exercise.weight) == ("First", 5, "core")
    assert (exercise.kind, exercise.needs) == ("implement (Python)", "nothing but Python")
    assert exercise.stub == "def f():\n    raise NotImplementedError"
    assert exercise.solution == "def f():\n    return 1"
    assert [(v.name, v.source, v.says) for v in exercise.variants] == [
        ("two", "def f():\n    return 2", "not two"),
        ("another", "f = lambda: 1", None),
    ]
    assert source.explained == {"d1.b1.e1": ["### Solution", "Why.", "Otherwise."]}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("# Title", "Title", "begin with a title"),
        ("## d1.b1.e1 · First", "## d1.b1.e1: First", "write an exercise's heading as"),
        ("*5 minutes · core", "*five minutes · core", "d1.b1.e1 says '\\*12 minutes"),
        (":role: answer", ":role: anwser", "the role 'anwser' cannot stand here"),
        (":role: answer", ":role: setup", "one cell each of the roles answer, check and solution"),
        (":role: check", ":role: setup", "one cell each of the roles answer, check and solution"),
        (":role: solution", ":role: scratch", "one cell each of the roles answer, check and solution"),
        (":says: not two\n", "", "lacks a :name: or :says:"),
        (":name: two\n", "", "lacks a :name: or :says:"),
        (":role: scratch", ":role: answer", "the role 'answer' cannot stand here"),
    ],
)
def test_a_source_out_of_form_is_told_what_to_write(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert before in GOOD
    with pytest.raises(SourceError, match=says):
        read(write(tmp_path, GOOD.replace(before, after)))


PIECE = """:role: solution
:piece: tracker.values:now_ms
:tests: tests/tracker/test_values.py
```
"""
SOLVED = """:role: solution

def f():
    return 1
```
"""


def test_a_solution_can_be_the_trackers_own_code(tmp_path: Path) -> None:
    exercise = read(write(tmp_path, GOOD.replace(SOLVED, PIECE))).exercises["d1.b1.e1"]
    assert exercise.solution.startswith("def now_ms() -> int:")
    assert (exercise.piece, exercise.tests) == ("tracker.values:now_ms", "tests/tracker/test_values.py")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            ":now_ms",
            ":gone",
            "d1.b1.e1: tracker.values:gone: there is no function, class, method or constant of that name",
        ),
        ("tracker.values", "tracker.gone", "d1.b1.e1: tracker.gone:now_ms: there is no module tracker/gone.py"),
        (":tests: tests/tracker/test_values.py\n", "", "beside :piece: stands :tests:, and no text"),
        ("values.py\n", "values.py\n\ndef f(): pass\n", "beside :piece: stands :tests:, and no text"),
    ],
)
def test_a_piece_that_is_none_is_refused(tmp_path: Path, before: str, after: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read(write(tmp_path, GOOD.replace(SOLVED, PIECE.replace(before, after))))


@pytest.mark.parametrize(
    ("kind", "language"), [("implement (SQL, gaps to fill)", "SQL"), ("repair (Python)", "Python"), ("explain", "")]
)
def test_the_kind_of_an_answer_stands_in_brackets(tmp_path: Path, kind: str, language: str) -> None:
    text = GOOD.replace("implement (Python)", kind)
    assert read(write(tmp_path, text)).exercises["d1.b1.e1"].language == language


LESSON = """---
kernelspec: {}
---
# Title

Text.

```{code-cell} ipython3
1 + 1
```

## 1 · Section

```{code-cell} ipython3
:tags: [live]

assert 2 > 1
```
"""


def test_a_lesson_is_taken_apart(tmp_path: Path) -> None:
    lesson = read_lesson(write(tmp_path, LESSON))
    assert lesson.title == "Title"
    assert [(cell.role, cell.source, cell.tags) for cell in lesson.cells] == [
        ("text", "# Title\n\nText.", ()),
        ("code", "1 + 1", ()),
        ("text", "## 1 · Section", ()),
        ("code", "assert 2 > 1", ("live",)),
    ]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("# Title", "Title", "begin with a title"),
        ("[live]", "[alive]", "no other option than ':tags: \\[live\\]'"),
        (":tags: [live]", ":role: answer", "no other option than"),
    ],
)
def test_a_lesson_out_of_form_is_told_what_to_write(tmp_path: Path, before: str, after: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read_lesson(write(tmp_path, LESSON.replace(before, after, 1)))


@pytest.mark.parametrize(
    ("line", "minutes"),
    [
        ("*Day 1, block 3 · lesson, 20 minutes · needs some SQL*", 20),
        ("*Day 1, block 3 · lesson, some minutes · needs some SQL*", None),
        ("It took 20 minutes.", None),
    ],
)
def test_a_lesson_says_its_minutes_below_its_title(tmp_path: Path, line: str, minutes: int | None) -> None:
    assert read_lesson(write(tmp_path, LESSON.replace("Text.", line))).minutes == minutes


def test_a_lesson_lies_where_its_block_does() -> None:
    for lesson in lessons():
        assert f"workbook/blocks/{lesson.notebook.relative_to('notebooks').with_suffix('')}/lesson.md" == str(
            lesson.path
        )


def test_no_exercise_has_two_sources() -> None:
    ids = [exercise for source in sources() for exercise in source.exercises]
    assert len(ids) == len(set(ids))
    for exercise in ids:
        assert source_with(exercise) is not None
    assert source_with("d9.b9.e9") is None
