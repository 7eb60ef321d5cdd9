from pathlib import Path
from typing import Any

import pytest

from workbook.pieces.mutants import FAILED, NOT_TRIED, PASSED, REFERENCE, judge
from workbook.source import ROOT

pytestmark = pytest.mark.thorough


def test_the_tests_are_asked_about_the_reference_and_each_mutant(scratch: Any) -> None:
    wrong = {
        "low": "def clamp(value, low, high):\n    return low",
        "same": "def clamp(value, low, high):\n    return low if value != value else min(max(value, low), high)",
        "no Python": "def clamp(",
        "another": "def clip(value): return value",
        "cannot be imported": "import nowhere\n\ndef clamp(value, low, high):\n    return nowhere.clamp(value)",
    }
    said = judge("scratch.clamp:clamp", "clamp_tests.py", wrong, scratch.root)
    assert "clamp_tests.py::" in said["low"].said
    assert {name: tested.code for name, tested in said.items()} == {
        REFERENCE: PASSED,
        "low": FAILED,
        "same": PASSED,
        "no Python": NOT_TRIED,
        "another": NOT_TRIED,
        "cannot be imported": NOT_TRIED,
    }


def test_a_piece_of_the_tracker_meets_the_trackers_own_tests() -> None:
    """The real package, loaded by real tests: what a mutant changes is seen by whatever imports it."""
    wrong = {"constant": "def rank(*_):\n    return 0"}
    said = judge("tracker.values:rank", "tests/tracker/test_values.py -k rank", wrong, ROOT)
    assert {name: tested.code for name, tested in said.items()} == {REFERENCE: PASSED, "constant": FAILED}


def test_what_could_not_be_tried_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match="the mutants of gone:piece were not tried: (.|\\n)*there is no module gone.py"
    ):
        judge("gone:piece", "x.py", {}, tmp_path)
