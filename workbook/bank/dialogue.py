"""A conversation in a terminal: lines that are said and heard, through two streams and a clock, so that a test can hold
it as well as a person. A pipe that ends, or Ctrl-D, ends it; Ctrl-C is the caller's.
"""

from __future__ import annotations

import math
import select
import shutil
import sys
import termios
import textwrap
import time
from collections.abc import Callable
from io import TextIOWrapper
from typing import TextIO

WIDTH = 100  # characters of a line that is still read easily


class Ended(Exception):
    """Nobody answers any more."""


class Dialogue:
    """Says and asks; `clock` is in seconds, from wherever it likes."""

    def __init__(
        self,
        heard: TextIO | None = None,
        said: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        width: int | None = None,
    ) -> None:
        self._heard, self._said, self.clock = heard or sys.stdin, said or sys.stdout, clock
        self._width = width or max(20, min(shutil.get_terminal_size().columns - 1, WIDTH))
        self._typed = bool(self._heard) and self._heard.isatty()
        if isinstance(self._heard, TextIOWrapper):
            self._heard.reconfigure(errors="replace")  # a stray byte is a typing error, not the end

    def say(self, text: str = "", mark: str = "") -> None:
        """Paragraph by paragraph, in lines that fit. `mark` stands before the first line, the others below its text."""
        paragraphs = [
            textwrap.fill(
                paragraph,
                self._width,
                initial_indent=mark,
                subsequent_indent=" " * len(mark),
                break_on_hyphens=False,
            )
            for paragraph in text.split("\n\n")
        ]
        print("\n\n".join(paragraphs), file=self._said, flush=True)

    def head(self, text: str) -> None:
        """What begins something new, below an empty line."""
        self.say()
        self.say(text)

    def ask(self, prompt: str) -> str:
        """What is answered, in one line. Raises Ended."""
        print(prompt, end=" ", file=self._said, flush=True)
        # Closed as the shell's <&- does, it is None.
        line = self._heard.readline() if self._heard else ""
        if not self._typed or not line.endswith("\n"):
            print(file=self._said, flush=True)
        if not line:
            raise Ended
        return line.strip()

    def choose(self, prompt: str, choices: str) -> str:
        """One of these characters, however often it takes to ask. Raises Ended."""
        while (answer := self.ask(prompt).lower()) not in set(choices):
            self.say(f"Type one of {', '.join(choices)}.")
        return answer

    def wait(self, seconds: float) -> None:
        """Counts down to nothing, or to Enter; where nobody looks at a terminal, to Enter alone. Raises Ended."""
        if not (self._heard and self._typed and self._said.isatty()):
            self.ask("Enter when you are through.")
            return
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0:
            minutes, rest = divmod(math.ceil(left), 60)
            print(f"\r{minutes:2}:{rest:02} left ", end="", file=self._said, flush=True)
            if select.select([self._heard], [], [], left % 1 or 1)[0]:
                if not self._heard.readline():
                    raise Ended
                return
        print("\rThe time is up.", file=self._said, flush=True)
        termios.tcflush(self._heard, termios.TCIFLUSH)  # what was typed while speaking answers no question
