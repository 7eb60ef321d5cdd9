"""`ask`, as a candidate types it."""

import subprocess
import sys

import pytest

from workbook import ask
from workbook.bank.ask import NoQuestion
from workbook.bank.spoken import Spoken


def test_a_question_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(
        NoQuestion, match=r"^there is no question 'd1\.b3\.q9'; the questions are d1\.b1\.q1, .*d1\.b3\.q2"
    ):
        ask("d1.b3.q9")


def test_only_who_asks_waits_for_the_packages_that_it_needs() -> None:
    code = "import sys, workbook; assert not {'anywidget', 'ipywidgets', 'traitlets', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_asks() -> None:
    asked = ask("d1.b3.q2")
    assert isinstance(asked, Spoken)
    assert (asked.name, asked.stage) == ("d1.b3.q2", "bet")
