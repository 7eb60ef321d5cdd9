"""The commands about the bank, as a candidate types them: through a pipe, and in a terminal with Ctrl-C."""

import errno
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbook import cli
from workbook.bank.dialogue import Dialogue
from workbook.commands import bank as commands
from workbook.progress import FILE, Asked, change, read
from workbook.source import lessons, sources
from workbook.tries import keep

Typed = Callable[..., tuple[int, str, str]]
BOOKS = tuple(s for s in sources() if s.exercises.keys() & {"d0.b0.e1", "d1.b3.e1"})  # as if there were no other
LESSONS = tuple(lesson for lesson in lessons() if lesson.title.startswith("1.3"))
CARDS = [f"d1.b3.q{question}.c{card}" for question in (1, 2) for card in (1, 2, 3)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, to keep answers in."""
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "sources", lambda: BOOKS)
    monkeypatch.setattr(commands, "lessons", lambda: LESSONS)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def typed(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Runs a command with these answers: its exit code, what it says, and its complaints."""

    def run(command: str, *answers: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
        code = cli.main(command.split())
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def asked(root: Path, name: str, bet: int, made: int, of: int = 1) -> None:
    change(lambda kept: kept.asked.setdefault(name, []).append(Asked(len(kept.asked), bet, made, of)), root)


class TestRefused:
    @pytest.mark.parametrize(
        ("command", "says"),
        [
            ("drill d7", "there are no questions of 'd7', only of d1.b3"),
            ("drill d1.b3 d1.b1", "there are no questions of 'd1.b1', only of d1.b3"),
            ("drill --count 0", "--count is a number from 1 to 1000, not '0'"),
            ("drill --count some", "--count is a number from 1 to 1000, not 'some'"),
            ("say d1.b3.q9", "there is no question 'd1.b3.q9'; the questions are d1.b3.q1, d1.b3.q2"),
            ("say d1.b3.q1.c1", "there is no question 'd1.b3.q1.c1'"),
            ("say --minutes 0", "--minutes is a number from 0.1 to 15, not '0'"),
            ("refresh --minutes nan", "--minutes is a number from 1 to 240, not 'nan'"),
            *((f"plan --hours {hours}", "--hours is a number from 0.5 to 100") for hours in ("0", "-3", "1000", "x")),
            ("cards no/such/cards.apkg", "there is no folder no/such"),
        ],
    )
    def test_a_mistake_is_answered_with_what_can_be_typed(
        self, typed: Typed, root: Path, command: str, says: str
    ) -> None:
        code, out, err = typed(command)
        assert (code, out) == (1, "")
        assert err.startswith(f"workbook: {says}")
        assert list(root.iterdir()) == []

    @pytest.mark.parametrize("command", ["drill", "say", "refresh", "plan --hours 8"])
    def test_without_anybody_to_answer_it_ends(self, typed: Typed, command: str) -> None:
        code, out, err = typed(command)
        assert (code, err) == (0, "")
        assert "There is no more input, so it ends here.\nNothing was answered.\n" in out


class TestDrill:
    def test_it_asks_what_was_sure_but_wrong_first(self, typed: Typed, root: Path) -> None:
        asked(root, CARDS[3], 4, 0)
        asked(root, CARDS[0], 4, 1)
        _, out, _ = typed("drill", *["4", "y"] * 6)
        shown = [line.partition(" · ")[2] for line in out.splitlines() if " of 6 · " in line]
        assert shown == [CARDS[3], CARDS[1], CARDS[2], CARDS[4], CARDS[5], CARDS[0]]
        assert out.endswith("\n6 of 6 right.\nSure but wrong: nothing\n")

    def test_it_asks_no_more_than_was_wanted(self, typed: Typed, root: Path) -> None:
        code, _, _ = typed("drill d1 --count 2", *["1", "n"] * 6)
        assert code == 0
        assert {name: [one.right for one in times] for name, times in read(root).asked.items()} == {
            CARDS[0]: [False],
            CARDS[1]: [False],
        }


class TestSay:
    def test_it_takes_the_next_question_by_itself(self, typed: Typed, root: Path) -> None:
        assert typed("say", "", "4", "", "1 2 3 4 5")[1].startswith("d1.b3.q1 · ")
        assert typed("say", "", "4", "", "")[1].startswith("d1.b3.q2 · ")
        assert typed("say")[1].startswith("d1.b3.q2 · ")
        assert [read(root).asked[name][0].made for name in ("d1.b3.q1", "d1.b3.q2")] == [5, 0]


class TestRefresh:
    def test_what_was_wrong_is_followed_by_points_and_the_sheet(self, typed: Typed, root: Path) -> None:
        asked(root, CARDS[2], 1, 0)
        asked(root, CARDS[3], 3, 0)
        asked(root, CARDS[4], 4, 1)
        _, out, _ = typed("refresh", *["4", "y"] * 2, *["4", "", "1"] * 2, "")
        order = [line for line in out.splitlines() if line.startswith(("wrong last time", "points", "sheet"))]
        assert order == [
            f"wrong last time · {CARDS[3]}",
            f"wrong last time · {CARDS[2]}",
            "points · d1.b3.q1",
            "points · d1.b3.q2",
            "sheet · 1.3 · Database schema",
        ]
        assert "That was all there is." in out
        assert "\n2 of 4 right.\n" in out

    def test_the_card_at_hand_is_finished_when_the_time_is_up(
        self, typed: Typed, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in CARDS:
            asked(root, name, 4, 0)
        clock = iter([0, 0, 59, 60])  # at the beginning, and before each card
        monkeypatch.setattr(Dialogue.__init__, "__defaults__", (None, None, lambda: next(clock), None))
        _, out, _ = typed("refresh --minutes 1", *["4", "y"] * 6)
        assert out.endswith("\nThe time is up.\n\n2 of 2 right.\nSure but wrong: nothing\n")


class TestPlan:
    def test_its_cards_are_kept_and_not_asked_again(self, typed: Typed, root: Path) -> None:
        _, out, _ = typed("plan --hours 8", *["3", "y"] * 6)
        assert out.startswith("First 6 quick cards")
        assert sorted(read(root).asked) == CARDS
        assert typed("plan --hours 8")[1].startswith("Warm-up\n")

    def test_it_can_be_had_without(self, typed: Typed, root: Path) -> None:
        code, out, _ = typed("plan --hours 1 --no-questions")
        assert code == 0
        assert "58 min of your 1 h are planned.\nCore that does not fit: 1.3 · Database schema (12 min).\n" in out
        assert "\nNot written yet, so in no plan: 1.1 python warmup, 1.2 backend api, 1.4 db integration," in out
        assert not (root / FILE).exists()

    def test_what_is_solved_or_said_well_costs_nothing(self, typed: Typed, root: Path) -> None:
        keep("d0.b0.e1", "solved", [("x", True)], root)
        keep("d1.b3.e1", "solved", [("x", True)], root)
        keep("d1.b3.e2", "wrong", [("x", True)], root)
        asked(root, "d1.b3.q1", 4, 4, 5)
        asked(root, "d1.b3.q2", 4, 3, 5)
        _, out, _ = typed("plan --hours 8 --no-questions")
        planned = {line.split(" min  ")[1].split(" · ")[0] for line in out.splitlines() if " min  " in line}
        exercises = {"d1.b3.e2", "d1.b3.e3", "d1.b3.e4", "d1.b3.e5", "d1.b3.e6"}
        lesson = "read notebooks/day1-python-backend-db/03-database-schema.ipynb"
        assert planned == {lesson, *exercises, "workbook say d1.b3.q2"}


def test_a_checkout_that_is_not_set_up_anew_is_told_how(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "workbook.bank.deck", raising=False)
    monkeypatch.setitem(sys.modules, "genanki", None)
    assert typed("cards") == (1, "", "workbook: genanki is not installed: `make setup` brings it\n")


def test_the_deck_is_written_where_one_is(typed: Typed, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    for _ in range(2):
        code, out, _ = typed("cards")
        assert code == 0
        assert out.startswith("cards.apkg: 6 cards. In Anki: File, Import, this file.")
    assert [file.name for file in root.iterdir()] == ["cards.apkg"]


class Terminal:
    """A command in a terminal of its own, and the person before it."""

    def __init__(self, checkout: Path, *arguments: str) -> None:
        self._person, end = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbook", *arguments],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout), "COLUMNS": "80"},
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(end), os.O_RDWR)),  # so Ctrl-C is this terminal's
        )
        os.close(end)
        self.shown = ""

    def see(self, text: str) -> None:
        """Waits until it is on the screen, below what was seen before."""
        begin = len(self.shown)
        while text not in self.shown[begin:]:
            read = self._read()
            assert read, f"never saw {text!r}:\n{self.shown}"
            self.shown += read

    def type(self, *keys: str) -> None:
        os.write(self._person, "".join(keys).encode())

    def end(self) -> int:
        """The exit code, when all was shown."""
        while read := self._read():
            self.shown += read
        os.close(self._person)
        return self._process.wait()

    def _read(self) -> str:
        try:
            return os.read(self._person, 1).decode("latin-1")
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that nobody is there any more
                raise
            return ""


class TestInATerminal:
    def test_a_drill_that_is_interrupted_loses_nothing(self, checkout: Path) -> None:
        drill = Terminal(checkout, "drill", "d1.b3")
        for bet, had in (("4", "n"), ("2", "y")):
            drill.see("Your bet, 1 to 4? ")
            drill.type(bet, "\n")
            drill.see("Did you have it, y or n? ")
            drill.type(had, "\n")
        drill.see("Your bet, 1 to 4? ")
        drill.type("3\n")
        drill.see("Did you have it")
        drill.type("\x03")
        assert drill.end() == 130
        assert "Traceback" not in drill.shown
        assert drill.shown.splitlines()[-2:] == [
            "1 of 2 right.",
            "Sure but wrong: Slower every week, yet the same rows shown. First suspect?",
        ]
        kept = json.loads((checkout / FILE).read_text())["asked"]
        assert {name: [(one["bet"], one["made"]) for one in times] for name, times in kept.items()} == {
            CARDS[0]: [(4, 0)],
            CARDS[1]: [(2, 1)],
        }

    def test_whoever_speaks_sees_the_time_run(self, checkout: Path) -> None:
        say = Terminal(checkout, "say", "d1.b3.q2")
        say.see("then Enter. ")
        say.type("\n")
        say.see("Your bet, 1 to 4? ")
        say.type("4\n")
        say.see("2:00 left ")
        say.see("1:59 left ")
        say.type("\n")
        say.see("Enter for none. ")
        say.type("1 2 3 4\n")
        assert say.end() == 0
        assert "4 of 5 points, that is right." in say.shown

    def test_a_speech_can_be_interrupted(self, checkout: Path) -> None:
        say = Terminal(checkout, "say")
        say.see("then Enter. ")
        say.type("\n")
        say.see("Your bet")
        say.type("4\n")
        say.see("left ")
        say.type("\x03")
        assert say.end() == 130
        assert "Traceback" not in say.shown
        assert say.shown.endswith("Nothing was answered.\r\n")
