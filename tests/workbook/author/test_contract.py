"""The contract's lines, each broken once in a block that keeps all of them."""

import json
import os
from typing import Any

import pytest

from workbook.author.contract import CONTRACT
from workbook.author.evidence import Evidence
from workbook.build import build_exercises, build_solutions
from workbook.labs import offline

pytestmark = pytest.mark.thorough


def first(scratch: Any, number: int) -> str:
    """The first complaint of this line, or nothing."""
    (line,) = [line for line in CONTRACT if line.number == number]
    return next(line.broken(Evidence(scratch.block)), "")


def test_all_of_it_is_kept_by_a_block_in_form(scratch: Any) -> None:
    evidence = Evidence(scratch.block)
    evidence.gather()
    assert [complaint for line in CONTRACT for complaint in line.broken(evidence)] == []
    assert [line.number for line in CONTRACT] == list(range(1, 17))


FAULTS = [
    (1, "    raise NotImplementedError\n", "    return value\n", "✗ d9.b1.e1 wrong: a low value is raised: untouched"),
    (1, 'table().execute("SELECT *', 'table().execute("SELECT x', "no such column: x: let it do with the stub what it"),
    (2, "SELECT count(*)", "SELECT 1 + count(*)", "the solution of ✗ d9.b1.e2 wrong: one row, one number: mend the"),
    (3, "max(low, value)", "min(high, value)", "is told 'a low value is raised', not 'a high value is lowered': mend"),
    (3, "SELECT 2 FROM points", "SELECT 2", "d9.b1.e2 lists is solved, not 'one row, one number': mend its :says:"),
    (3, "SELECT sum(1)", "SELECT sum(value)", "sums is right, but ✗ d9.b1.e2 wrong: count(value) passes over a NULL"),
    (
        3,
        ":role: right\n:name: sums",
        ":role: wrong\n:name: s\n:says: x",
        "d9.b1.e2 has no other right answer: write on",
    ),
    (
        3,
        ":says: one row, one number",
        ":says: passes over a NULL",
        "d9.b1.e2 has 1 wrong answers with a message of thei",
    ),
    (
        4,
        "Write it.",
        "Write it now.",
        "exercises/day9-scratch/01-clamp-exercises.ipynb is not what its source says: make",
    ),
    (5, 'with check("d9.b1.e2")', 'with check("d9.b1.e1")', "d9.b1.e2: its check is for d9.b1.e1: begin it with"),
    (6, "Rows, or values?", "SELECT count(*) FROM points", "d9.b1.e2: hint 1 holds a line of the solution"),
    (7, None, None, "red_flags: it has 1, write at least 2"),
    (8, "By a sum.", "By a sum:\n\n```sql\nSELECT 1\n```", "nobody runs 'SELECT 1': make this fence a code cell"),
    (
        9,
        "sql(table(), COUNT_SQL)",
        "table().execute(COUNT_SQL).fetchall()",
        "endless, an answer to d9.b1.e2 is stopped",
    ),
    (
        10,
        "import sqlite3\n",
        "import sqlite3\nopen('01-clamp-exercises.ipynb').close()\n",
        "moved elsewhere, ✗ d9.b1.e",
    ),
    (
        12,
        ":role: setup\n\ndef",
        ":role: setup\n:tags: [nbval-skip]\n\ndef",
        "d9.b1.e2 has 'nbval-skip': run it, or say",
    ),
    (13, "*5 minutes · core · implement", "*9 minutes · core · implement", "take 41 minutes (15 + 9 + 5 + 6 + 6), the"),
    (14, "COUNT_SQL", "table", "d9.b1.e2: its answer defines no name of its own, by which JupyterLab's tries are kept"),
    (16, "implement (Python)", "implement", "d9.b1.e1: its header says 'implement': in brackets, name one of Python"),
]


@pytest.mark.parametrize(
    ("number", "before", "after", "says"), FAULTS, ids=[f"{number}-{says}" for number, _, _, says in FAULTS]
)
def test_a_broken_line_says_what_to_mend(scratch: Any, number: int, before: str, after: str, says: str) -> None:
    if number == 7:
        scratch.edit("questions.yaml", "    - noise\n", "")
    else:
        scratch.edit("exercises.md", before, after, places=6 if number == 14 else 1)
    assert says in first(scratch, number)


def test_a_stored_output_that_is_another_is_seen_by_nbval(scratch: Any) -> None:
    scratch.edit(scratch.solutions, "✓ d9.b1.e2 solved", "✓ d9.b1.e2 done")
    assert "nbval, 01-clamp-solutions.ipynb, Cell" in first(scratch, 2)


def test_solutions_that_were_never_built_are_named(scratch: Any) -> None:
    (scratch.root / scratch.solutions).unlink()
    assert first(scratch, 2) == f"{scratch.solutions} is not there for nbval to run: make build"


def test_a_solution_that_prints_the_time_is_another_each_time(scratch: Any) -> None:
    scratch.edit("exercises.md", "COUNT_SQL = ", "import time\nprint(time.time())\nCOUNT_SQL = ", places=5)
    build_solutions(scratch.block.source, scratch.root)
    build_exercises(scratch.block.source, scratch.root)
    assert "solutions/day9-scratch/01-clamp-solutions.ipynb is another each time it is built" in first(scratch, 4)


def in_first_cell_of_the_solutions(scratch: Any, source: str, **metadata: object) -> None:
    file = scratch.root / scratch.solutions
    notebook = json.loads(file.read_text())
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["source"] = [*cell["source"], source]
    cell["metadata"] |= metadata
    file.write_text(json.dumps(notebook))


def test_a_cell_that_asks_the_network_is_named(scratch: Any) -> None:
    if not offline.is_possible():
        assert os.environ.get("CI") != "true", "unshare --user --net is not possible here"
        pytest.skip("not run: it needs Linux with user namespaces (unshare --user --net)")
    in_first_cell_of_the_solutions(
        scratch, "\nimport urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=5)"
    )
    assert "Cell 0 asks the network: bring what it needs along" in first(scratch, 11)


def test_ci_does_without_no_network_namespace(scratch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbook.author.contract.offline.is_possible", lambda: False)
    monkeypatch.setattr(Evidence, "nbval", property(lambda self: type("", (), {"failed": {}})))
    monkeypatch.delenv("CI", raising=False)
    assert first(scratch, 11) == ""
    monkeypatch.setenv("CI", "true")
    assert first(scratch, 11).startswith("the network could not be taken away")


def test_a_cell_that_nbval_skips_is_counted(scratch: Any) -> None:
    in_first_cell_of_the_solutions(scratch, "", tags=["nbval-skip"])
    assert first(scratch, 12) == "nbval skipped 1 cells of 01-clamp-solutions.ipynb: run them"


def test_a_mutant_that_lives_is_named(scratch: Any) -> None:
    scratch.edit("clamp_tests.py", "assert clamp(math.nan, 1, 3) == 1", "assert True")
    assert first(scratch, 15) == (
        "d9.b1.e1 forgets-nan passes clamp_tests.py as scratch.clamp:clamp: add the test that it fails"
    )


def test_a_mutant_that_cannot_be_loaded_proves_nothing(scratch: Any) -> None:
    scratch.edit("exercises.md", "    return max(low, value)\n", "    return max(low, value\n")
    assert first(scratch, 15) == (
        "d9.b1.e1 one-sided cannot even be loaded as scratch.clamp:clamp: an answer is one that runs"
    )


def test_a_reference_that_fails_its_tests_is_named(scratch: Any) -> None:
    scratch.edit("clamp_tests.py", "== [1, 2, 3]", "== [1, 2, 4]")
    assert first(scratch, 15) == "d9.b1.e1: the tracker itself does not pass :tests: clamp_tests.py"
