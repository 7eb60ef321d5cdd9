from pathlib import Path

import jupytext
import pytest

from workbook.source import BLOCKS, SourceError, cells, lessons, read, read_lesson, source_with, sources

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


def test_a_lesson_lies_where_its_block_does() -> None:
    for lesson in lessons():
        assert f"workbook/blocks/{lesson.notebook.relative_to('notebooks').with_suffix('')}/lesson.md" == str(
            lesson.path
        )


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


def test_no_exercise_has_two_sources() -> None:
    ids = [exercise for source in sources() for exercise in source.exercises]
    assert len(ids) == len(set(ids))
    for exercise in ids:
        assert source_with(exercise) is not None
    assert source_with("d9.b9.e9") is None
