"""Checks, in a plain process and in a real kernel."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbook.check import VERDICT, CheckFailed, State, Verdict, check
from workbook.kernel import Kernel
from workbook.kinds import prose


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.run("from workbook import check", 20)
        yield kernel


def verdict(kernel: Kernel, source: str) -> Verdict:
    ran = kernel.run(source, 20)
    assert ran.error is None, ran.error
    (data,) = [output["data"][VERDICT] for output in ran.outputs if VERDICT in output.get("data", {})]
    return Verdict(data["exercise"], State(data["state"]), data["message"])


class TestInAKernel:
    def test_nothing_done_is_not_attempted(self, kernel: Kernel) -> None:
        kernel.run("def answer():\n    raise NotImplementedError", 5)
        assert verdict(kernel, 'with check("d1.b1.e1"):\n    assert answer() == 1') == Verdict(
            "d1.b1.e1", State.NOT_ATTEMPTED
        )

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            (
                'assert answer() == 2, "the likely cause"',
                ["the likely cause", "checked:   answer() == 2", "got:       1", "expected:  2"],
            ),
            ("assert answer() == 2", ["checked:   answer() == 2", "got:       1", "expected:  2"]),
            ('assert answer() < 1, "why"', ["why", "checked:     answer() < 1", "got:         1", "expected <:  1"]),
            (
                'assert answer() in (2, 3), "why"',
                ["why", "checked:     answer() in (2, 3)", "looked for:  1", "in:          (2, 3)"],
            ),
            (
                'assert answer() not in (1, 3), "why"',
                ["why", "checked:   answer() not in (1, 3)", "found:     1", "in:        (1, 3)"],
            ),
            (
                'assert answer() is None, "why"',
                ["why", "checked:   answer() is None", "got:       1", "expected:  None"],
            ),
            ('assert not answer(), "why"', ["why", "checked:   not answer()", "got:       False"]),
            ('assert 0 < answer() < 1, "why"', ["why", "checked:   0 < answer() < 1", "got:       False"]),
            (
                'assert answer() == 2, f"it was {answer()}"',
                ["it was 1", "checked:   answer() == 2", "got:       1", "expected:  2"],
            ),
        ],
    )
    def test_a_failed_assert_says_why_what_and_what_else(
        self, kernel: Kernel, statement: str, message: list[str]
    ) -> None:
        kernel.run("def answer():\n    return 1", 5)
        found = verdict(kernel, f'with check("d1.b1.e1"):\n    {statement}')
        assert found == Verdict("d1.b1.e1", State.WRONG, "\n".join(message))

    def test_each_side_is_evaluated_once(self, kernel: Kernel) -> None:
        kernel.run("calls = iter([1, 2, 3])", 5)
        found = verdict(kernel, 'with check("d1.b1.e1"):\n    assert next(calls) == 5, "why"')
        assert "got:       1" in found.message
        assert kernel.run("assert next(calls) == 2", 5).error is None

    def test_a_check_that_has_a_name_already_keeps_it(self, kernel: Kernel) -> None:
        found = verdict(kernel, 'with check("d1.b1.e1") as c:\n    assert c.exercise == "x", "why"')
        assert "got:       'd1.b1.e1'" in found.message

    def test_asserts_elsewhere_are_left_alone(self, kernel: Kernel) -> None:
        ran = kernel.run("with open('/dev/null'):\n    assert 1 == 2, 'mine'", 5)
        assert ran.error is not None
        assert (ran.error["ename"], ran.error["evalue"]) == ("AssertionError", "mine")

    def test_an_exception_is_shown_with_its_line(self, kernel: Kernel) -> None:
        kernel.run("def answer():\n    x = 0\n    return 1 / x", 5)
        found = verdict(kernel, 'with check("d1.b1.e1"):\n    assert answer() == 1')
        assert found.state is State.WRONG
        assert found.message == (
            "your code raised ZeroDivisionError: division by zero\nin line 3 of its cell:  return 1 / x"
        )

    def test_of_a_long_error_the_first_line_is_shown(self, kernel: Kernel) -> None:
        kernel.run("def answer():\n    raise ValueError('first\\nsecond')", 5)
        found = verdict(kernel, 'with check("d1.b1.e1"):\n    assert answer() == 1')
        assert found.message.startswith("your code raised ValueError: first\nin line 2")

    def test_prose_is_scored_by_its_author(self, kernel: Kernel) -> None:
        kernel.run("from workbook import prose", 5)
        found = verdict(kernel, 'with check("d1.b1.e1"):\n    prose("so " * 20, ["one", "two"], "2")')
        assert found == Verdict("d1.b1.e1", State.SELF_SCORED, "1 of 2 points\n1. one\n2. two")

    def test_ending_the_program_is_wrong(self, kernel: Kernel) -> None:
        found = verdict(kernel, 'import sys\nwith check("d1.b1.e1"):\n    sys.exit(1)')
        assert found == Verdict("d1.b1.e1", State.WRONG, "your code ended the program (sys.exit or exit)")

    def test_an_endless_loop_ends(self, kernel: Kernel) -> None:
        loop = "    while True:\n        try:\n            pass\n        except Exception:\n            pass"
        found = verdict(kernel, f'with check("d1.b1.e1", seconds=0.2):\n{loop}')
        assert found.state is State.WRONG
        assert found.message == "it took longer than 0.2 seconds: an endless loop?"

    def test_after_a_check_no_alarm_is_left(self, kernel: Kernel) -> None:
        verdict(kernel, 'with check("d1.b1.e1", seconds=0.3):\n    assert True')
        assert kernel.run("import time; time.sleep(0.6)", 5).error is None

    def test_solved_says_how_much_was_checked(self, kernel: Kernel) -> None:
        found = verdict(kernel, 'with check("d1.b1.e1"):\n    assert 1 == 1\n    assert True, "why"')
        assert found == Verdict("d1.b1.e1", State.SOLVED, "2 checks passed")

    def test_the_cells_after_it_go_on(self, kernel: Kernel) -> None:
        ran = kernel.run('with check("d1.b1.e1"):\n    assert False\nprint("on")', 5)
        assert any(output.get("text") == "on\n" for output in ran.outputs)

    def test_an_interrupt_goes_through(self, kernel: Kernel) -> None:
        ran = kernel.run('with check("d1.b1.e1"):\n    raise KeyboardInterrupt', 5)
        assert ran.error is not None
        assert ran.error["ename"] == "KeyboardInterrupt"

    def test_a_huge_value_is_cut(self, kernel: Kernel) -> None:
        found = verdict(kernel, 'with check("d1.b1.e1"):\n    assert list(range(100_000)) == []')
        assert len(found.message) < 2000


class TestInAPlainProcess:
    def test_a_failed_check_raises(self) -> None:
        with pytest.raises(CheckFailed, match="✗ d1.b1.e1 wrong\nwhy"), check("d1.b1.e1"):
            raise AssertionError("why")

    def test_one_that_was_not_attempted_raises(self) -> None:
        with pytest.raises(CheckFailed, match="○ d1.b1.e1 not attempted"), check("d1.b1.e1"):
            raise NotImplementedError

    def test_a_solved_one_does_not(self) -> None:
        with check("d1.b1.e1") as done:
            assert True
        assert done.exercise == "d1.b1.e1"

    def test_neither_does_one_that_its_author_scores(self) -> None:
        with check("d1.b1.e1"):
            prose("so " * 20, ["one"], "1")

    def test_a_slow_one_is_ended(self) -> None:
        start = time.monotonic()
        with pytest.raises(CheckFailed, match="longer than 0.1 seconds"), check("d1.b1.e1", seconds=0.1):
            time.sleep(30)
        assert time.monotonic() - start < 20

    def test_importing_the_workbook_does_not_load_ipython(self) -> None:
        import subprocess

        code = "import sys, workbook; assert 'IPython' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)


def test_the_box_escapes_what_it_shows() -> None:
    bundle: dict[str, Any] = Verdict("d1.b1.e1", State.WRONG, "<b>first\n<script>").__dict__
    html = Verdict(**bundle)._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    assert "<div>&lt;b&gt;first</div>" in html


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_symbol_and_colour(state: State, tmp_path: Path) -> None:
    bundle = Verdict("d1.b1.e1", state)._repr_mimebundle_()
    assert bundle[VERDICT] == {"exercise": "d1.b1.e1", "state": state.value, "message": ""}
    assert bundle["text/html"].count("color: ") == bundle["text/html"].count("<span") == 1  # all else: the page's own
    assert bundle["text/plain"] in (
        *("○ d1.b1.e1 not attempted", "✗ d1.b1.e1 wrong", "◐ d1.b1.e1 self-scored", "✓ d1.b1.e1 solved"),
    )
