"""A sitting: what is kept of it, and how it ends."""

import io
import json
from pathlib import Path

import pytest

from workbook.bank.dialogue import Dialogue
from workbook.bank.index import bank
from workbook.bank.sitting import Sitting
from workbook.progress import FILE, read
from workbook.source import sources

BANK = bank(sources())
CARDS = [name for name in BANK.cards if name.startswith("d1.b3.")]


class Session:
    """A sitting in a folder of its own, with these answers."""

    def __init__(self, root: Path, *answers: str) -> None:
        self.said, self.warned, self.root = io.StringIO(), list[str](), root
        heard = io.StringIO("".join(f"{answer}\n" for answer in answers))
        self.sitting = Sitting(BANK, Dialogue(heard, self.said, width=200), root, self.warned.append)

    @property
    def kept(self) -> dict[str, list[tuple[int, int, int]]]:
        asked = read(self.root).asked
        return {name: [(one.bet, one.made, one.of) for one in times] for name, times in asked.items()}

    @property
    def end(self) -> list[str]:
        return self.said.getvalue().splitlines()[-2:]


class TestEnd:
    def test_nothing_is_said_to_be_nothing(self, tmp_path: Path) -> None:
        session = Session(tmp_path)
        with session.sitting as sitting:
            sitting.cards(CARDS)
        assert session.end == ["There is no more input, so it ends here.", "Nothing was answered."]
        assert not (tmp_path / FILE).exists()

    def test_a_pipe_that_ends_in_the_middle_loses_nothing(self, tmp_path: Path) -> None:
        session = Session(tmp_path, "4", "n", "2", "y", "2", "n", "3")
        with session.sitting as sitting:
            sitting.cards(CARDS)
        assert session.kept == {CARDS[0]: [(4, 0, 1)], CARDS[1]: [(2, 1, 1)], CARDS[2]: [(2, 0, 1)]}
        assert "There is no more input" in session.said.getvalue()
        assert session.end == [
            "1 of 3 right.",
            "Sure but wrong: Slower every week, yet the same rows shown. First suspect?",
        ]

    def test_ctrl_c_loses_nothing_and_goes_on_to_whoever_called(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = Session(tmp_path, "1", "y")

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        def sit() -> None:
            with session.sitting as sitting:
                sitting.card(CARDS[0], "first")
                monkeypatch.setattr(sitting.dialogue, "ask", interrupted)
                sitting.card(CARDS[1], "second")

        with pytest.raises(KeyboardInterrupt):
            sit()
        assert session.kept == {CARDS[0]: [(1, 1, 1)]}
        assert session.end == ["1 of 1 right.", "Sure but wrong: nothing"]

    def test_a_fault_of_ours_is_not_hidden_by_a_summary(self, tmp_path: Path) -> None:
        session = Session(tmp_path)

        def sit() -> None:
            with session.sitting as sitting:
                sitting.card("d9.b9.q9.c9", "none")

        with pytest.raises(KeyError):
            sit()
        assert "Nothing was answered" not in session.said.getvalue()


class TestBadDay:
    def test_what_cannot_be_kept_is_said_once_and_the_sitting_goes_on(self, tmp_path: Path) -> None:
        (tmp_path / ".workbook").write_text("in the way")
        session = Session(tmp_path, *["4", "y"] * 3)
        with session.sitting as sitting:
            sitting.cards(CARDS[:3])
        assert session.end[0] == "3 of 3 right."
        assert len([text for text in session.warned if "not remembered" in text]) == 1

    def test_a_file_of_a_newer_version_is_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / FILE
        file.parent.mkdir()
        file.write_text(json.dumps({"version": 99}))
        session = Session(tmp_path, "4", "y")
        with session.sitting as sitting:
            sitting.cards(CARDS[:1])
        assert session.end[0] == "1 of 1 right."
        assert session.warned == [f"{FILE} is of a newer workbook than this: `workbook update` brings it"]
        assert file.read_text() == '{"version": 99}'

    def test_a_broken_file_is_put_beside(self, tmp_path: Path) -> None:
        file = tmp_path / FILE
        file.parent.mkdir()
        file.write_text("{")
        session = Session(tmp_path, "4", "y")
        with session.sitting as sitting:
            sitting.cards(CARDS[:1])
        assert session.kept == {CARDS[0]: [(4, 1, 1)]}
        assert len(session.warned) == 1


class TestQuestion:
    def test_what_was_said_is_kept_before_the_model_answer_is_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = Session(tmp_path, "", "3", "", "1 2 3 4")
        kept: list[object] = []
        monkeypatch.setattr("workbook.bank.asking.explain", lambda *_: kept.append(session.kept))
        with session.sitting as sitting:
            sitting.speak("d1.b3.q1", 120)
        assert kept == [{"d1.b3.q1": [(3, 4, 5)]}]
        assert session.end == ["4 of 5 points, that is right.", "Sure but wrong: nothing"]

    def test_three_of_five_points_are_not_enough(self, tmp_path: Path) -> None:
        session = Session(tmp_path, "", "3", "", "1 2 3")
        with session.sitting as sitting:
            sitting.speak("d1.b3.q1", 120)
        assert session.end[0] == "3 of 5 points, not right yet: that takes three quarters of them."
        assert session.end[1].startswith("Sure but wrong: The overview of your tracker lists")

    def test_recalling_is_kept_as_an_answer(self, tmp_path: Path) -> None:
        session = Session(tmp_path, "1", "", "5")
        with session.sitting as sitting:
            sitting.recall("d1.b3.q1")
        assert session.kept == {"d1.b3.q1": [(1, 1, 5)]}


def test_its_history_grows_with_it(tmp_path: Path) -> None:
    first, second = Session(tmp_path, "4", "n"), Session(tmp_path, "4", "y")
    for session in (first, second):
        session.sitting.card(CARDS[0], "")
    assert [one.made for one in first.sitting.history[CARDS[0]]] == [0]
    assert [one.made for one in Session(tmp_path).sitting.history[CARDS[0]]] == [0, 1]


def test_a_sheet_is_read_and_not_scored(tmp_path: Path) -> None:
    session = Session(tmp_path, "")
    with session.sitting as sitting:
        sitting.read("1.3", ["- Keys **first**"])
    assert "  - Keys **first**" in session.said.getvalue()
    assert session.end[-1] == "Nothing was answered."
