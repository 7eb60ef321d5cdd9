"""A conversation, held without a person: through strings, and through a terminal that is none."""

import io
import os
import pty
import re
from collections.abc import Iterator
from typing import TextIO

import pytest

from workbook.bank.dialogue import Dialogue, Ended


def dialogue(heard: str, width: int = 40) -> tuple[Dialogue, io.StringIO]:
    said = io.StringIO()
    return Dialogue(io.StringIO(heard), said, width=width), said


class TestHeard:
    def test_the_end_of_a_pipe_ends_it(self) -> None:
        this, said = dialogue("last line without an end")
        assert this.ask("First?") == "last line without an end"
        with pytest.raises(Ended):
            this.ask("Second?")
        assert said.getvalue() == "First? \nSecond? \n"

    def test_a_closed_input_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", None)
        with pytest.raises(Ended):
            Dialogue(said=io.StringIO()).ask("Anybody?")

    def test_a_stray_byte_is_a_wrong_answer_and_not_the_end(self) -> None:
        said = io.StringIO()
        this = Dialogue(io.TextIOWrapper(io.BytesIO(b"\xff\n2\n"), encoding="utf-8"), said)
        assert this.choose("Bet?", "1234") == "2"

    def test_what_is_no_choice_is_asked_again(self) -> None:
        this, said = dialogue("\n5\n12\nyes\n 4 \n")
        assert this.choose("Bet?", "1234") == "4"
        assert said.getvalue().count("Type one of 1, 2, 3, 4.") == 4

    def test_a_capital_is_a_choice(self) -> None:
        assert dialogue("Y\n")[0].choose("Had it?", "yn") == "y"


class TestSaid:
    def test_a_long_paragraph_is_broken_below_its_own_text(self) -> None:
        this, said = dialogue("", width=20)
        this.say("one two three four five six\n\nseven", mark="  - ")
        assert said.getvalue() == "  - one two three\n    four five six\n\n  - seven\n"

    def test_a_word_with_a_hyphen_is_one_word(self) -> None:
        this, said = dialogue("", width=20)
        this.say("one two three look-up")
        assert said.getvalue() == "one two three\nlook-up\n"

    def test_lines_of_a_source_are_joined(self) -> None:
        this, said = dialogue("")
        this.say("one\ntwo")
        assert said.getvalue() == "one two\n"

    def test_it_fits_a_terminal_however_narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "1")
        said = io.StringIO()
        Dialogue(io.StringIO(), said).say("a " * 20, mark="    ")
        assert max(map(len, said.getvalue().splitlines())) <= 20


class TestWait:
    @pytest.fixture
    def terminal(self) -> Iterator[tuple[int, TextIO, TextIO]]:
        """The hand and the eyes of a person, and both ends of what they sit at."""
        person, end = pty.openpty()
        with os.fdopen(os.dup(end)) as heard, os.fdopen(end, "w") as said:
            yield person, heard, said
        os.close(person)

    def test_a_pipe_is_not_counted_down(self) -> None:
        this, said = dialogue("\n")
        this.wait(7200)
        assert said.getvalue() == "Enter when you are through. \n"
        with pytest.raises(Ended):
            this.wait(7200)

    def test_it_ends_by_itself_and_forgets_what_was_typed_meanwhile(self, terminal: tuple[int, TextIO, TextIO]) -> None:
        person, heard, said = terminal
        times = iter([0.0, 0.95, 61.95, 119.95, 120.0])  # what it looks at the clock for
        this = Dialogue(heard, said, clock=lambda: next(times))
        os.write(person, b"hm")
        this.wait(120)
        os.write(person, b"3\n")
        assert this.ask("Bet?") == "3"
        shown = os.read(person, 1000).decode()
        assert re.findall(r"\r ?(\d+:\d\d) left ", shown) == ["2:00", "0:59", "0:01"]
        assert "\rThe time is up." in shown

    def test_enter_ends_it_and_is_no_answer_to_what_comes(self, terminal: tuple[int, TextIO, TextIO]) -> None:
        person, heard, said = terminal
        this = Dialogue(heard, said, clock=lambda: 0.0)
        os.write(person, b"\n3\n")
        this.wait(120)
        assert this.ask("Bet?") == "3"

    def test_ctrl_d_ends_all(self, terminal: tuple[int, TextIO, TextIO]) -> None:
        person, heard, said = terminal
        os.write(person, b"\x04")
        with pytest.raises(Ended):
            Dialogue(heard, said, clock=lambda: 0.0).wait(120)
