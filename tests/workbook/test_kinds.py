"""Each kind of answer: not there yet, not of its kind, without an end, and right."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workbook import kinds
from workbook.kinds import KINDS, Done, SelfScored, file, filled, prose, shell, sql, sql_script, sql_work, yaml


@pytest.fixture
def db() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE points(step, value)")
    db.executemany("INSERT INTO points VALUES (?, ?)", [(n, n / 2) for n in range(1000)])
    return db


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "SECONDS", 0.2)


EMPTY = [
    *((sql, "", "SQL"), (sql, "\n-- your query\n", "SQL"), (sql_work, "--", "SQL"), (sql_script, " ", "SQL")),
    *((yaml, "", "YAML"), (yaml, "# write it here\n", "YAML"), (shell, "\n# here\n", "shell")),
]


@pytest.mark.parametrize(("use", "text", "kind"), EMPTY)
def test_nothing_but_comments_is_not_attempted(
    db: sqlite3.Connection, use: Callable[..., object], text: str, kind: str
) -> None:
    with pytest.raises(NotImplementedError):
        use(*([db] if kind == "SQL" else []), text)


class TestGaps:
    def test_all_open_is_not_attempted(self) -> None:
        with pytest.raises(NotImplementedError):
            filled("a ____\nb ____", 2)

    def test_one_open_is_named(self) -> None:
        with pytest.raises(AssertionError, match="a gap is still open: b ____"):
            filled("a 1\nb ____", 2)

    def test_none_open_is_the_answer(self) -> None:
        assert filled("a 1\nb 2", 2) == "a 1\nb 2"


class TestSQL:
    def test_it_finds_rows(self, db: sqlite3.Connection) -> None:
        assert sql(db, "SELECT value FROM points WHERE step = :step", step=8) == [(4.0,)]

    def test_its_work_grows_with_what_is_read(self, db: sqlite3.Connection) -> None:
        few, many = (sql_work(db, "SELECT max(value) FROM points WHERE rowid <= :n", n=n) for n in (100, 1000))
        assert 5 * few < many < 20 * few
        assert sql_work(db, "SELECT 1") == 1

    def test_what_sqlite_does_not_take_is_said_in_a_line(self, db: sqlite3.Connection) -> None:
        for use in (sql, sql_script):
            with pytest.raises(AssertionError, match='SQLite does not take this: near "FROM": syntax error'):
                use(db, "SELECT 1 FROM FROM points")
        with pytest.raises(AssertionError, match="SQLite does not take this: You can only execute one statement"):
            sql(db, "SELECT 1; SELECT 2")

    @pytest.mark.usefixtures("impatient")
    def test_it_ends_what_does_not(self, db: sqlite3.Connection) -> None:
        endless = KINDS["SQL"].endless
        assert endless
        for use in (sql, sql_work, sql_script):
            began = time.monotonic()
            with pytest.raises(AssertionError, match="SQLite was still at it after .* seconds: does it ever end"):
                use(db, endless)
            assert time.monotonic() - began > 0.1
        assert sql(db, "SELECT 1") == [(1,)]

    def test_endless_rows_are_too_many(self, db: sqlite3.Connection) -> None:
        rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        with pytest.raises(AssertionError, match="it finds more than 100,000 rows: does it ever end"):
            sql(db, rows)

    def test_an_answer_that_is_no_text_is_said_to_be_none(self, db: sqlite3.Connection) -> None:
        with pytest.raises(AssertionError, match="the answer is no text: None"):
            sql(db, None)  # type: ignore[arg-type]


class TestYAML:
    def test_it_is_its_documents(self) -> None:
        assert yaml("a: 1\n---\n- b\n") == [{"a": 1}, ["b"]]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("a: [", "while parsing a flow node"),
            ("a: 1\na: 2", "'a' is there twice"),
            ("a:\n\tb: 1", "cannot start any token"),
        ],
    )
    def test_what_is_none_is_said_in_a_line(self, text: str, says: str) -> None:
        with pytest.raises(AssertionError, match=f"^this is not YAML: .*{says}") as refused:
            yaml(text)
        assert "\n" not in str(refused.value)


class TestShell:
    def test_it_is_what_it_came_to(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("b\na\n")
        assert shell("sort log; echo $STEP >&2; exit 3", tmp_path, STEP="7") == Done(3, "a\nb\n", "7\n")

    def test_without_a_folder_it_runs_in_an_empty_one_that_is_gone_afterwards(self) -> None:
        done = shell("touch here; ls -A; pwd")
        name, folder = done.out.split()
        assert name == "here"
        assert not Path(folder).exists()

    @pytest.mark.usefixtures("impatient")
    def test_it_ends_what_does_not_and_what_it_left_behind(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match=r"bash was still at it after 0.1 seconds: does it ever end\?"):
            shell("sleep 1000 & echo $! > pid; wait", tmp_path)
        left = int((tmp_path / "pid").read_text())
        deadline = time.monotonic() + 20
        while _runs(left):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_without_bash_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(AssertionError, match="bash was not found"):
            shell("ls")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestFile:
    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(kinds, "ROOT", tmp_path)
        return tmp_path

    def test_one_that_is_not_there_is_not_attempted(self) -> None:
        with pytest.raises(NotImplementedError):
            file("mine/drawing.txt")

    def test_it_is_read_wherever_the_notebook_is(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (root / "drawing.txt").write_text("a -> b")
        monkeypatch.chdir("/")
        assert file("drawing.txt") == "a -> b"

    def test_what_is_no_text_file_is_refused(self, root: Path) -> None:
        (root / "folder").mkdir()
        (root / "picture").write_bytes(b"\xff\xd8")
        (root / "large").write_bytes(b"x" * 1_000_001)
        for name, says in (("folder", "no file"), ("picture", "no text"), ("large", "larger than 1,000,000 bytes")):
            with pytest.raises(AssertionError, match=f"{name} is {says}"):
                file(name)


class TestProse:
    points = ("one", "two", "three")
    text = "so " * 20

    def told(self, text: str, made: str) -> str:
        with pytest.raises(SelfScored) as told:
            prose(text, self.points, made)
        return str(told.value)

    def test_nothing_is_not_attempted(self) -> None:
        with pytest.raises(NotImplementedError):
            prose(" \n", self.points, "")

    def test_a_few_words_are_not_yet_compared(self) -> None:
        with pytest.raises(AssertionError, match="2 words: say it in at least 20, then compare"):
            prose("it depends", self.points, "1 2 3")

    def test_the_points_are_shown_to_whoever_has_written(self) -> None:
        first, *listed = self.told(self.text, "").splitlines()
        assert first == "compare, and write down the numbers of the points that you made"
        assert listed == ["1. one", "2. two", "3. three"]

    def test_the_author_counts(self) -> None:
        assert self.told(self.text, "1, 3 3").splitlines()[0] == "2 of 3 points"
        assert self.told(self.text, "none").splitlines()[0] == "0 of 3 points"

    def test_a_point_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(AssertionError, match="there is no point 0, 4, only 1 to 3"):
            prose(self.text, self.points, "4 1 0")


def test_every_kind_is_known_by_its_name() -> None:
    assert all(name == kind.name for name, kind in KINDS.items())
    assert [kind.name for kind in KINDS.values() if not kind.graded] == ["text"]


def test_a_slow_computer_may_take_longer() -> None:
    import subprocess
    import sys

    command = [sys.executable, "-c", "from workbook.kinds import SECONDS; print(SECONDS)"]
    said = subprocess.run(command, env=os.environ | {kinds.LIMIT: "90"}, capture_output=True, text=True, check=True)
    assert said.stdout == "90.0\n"
