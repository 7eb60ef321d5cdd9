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


def test_tests_that_end_python_are_judged_like_others(tmp_path: Path) -> None:
    """Of the reference, too; two mutants are those that wait for it."""
    (tmp_path / "half.py").write_text("def half(value):\n    return value / 2\n")
    (tmp_path / "ends.py").write_text(
        "import os, half\n\ndef test_half():\n    os._exit(3 if half.half(4) == 2 else 4)\n"
    )
    wrong = {"same": "def half(value):\n    return value * 0.5", "whole": "def half(value):\n    return value"}
    said = judge("half:half", "ends.py", wrong, tmp_path)
    assert {name: tested.code for name, tested in said.items()} == {REFERENCE: 3, "same": 3, "whole": 4}


def test_what_could_not_be_tried_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match="the mutants of gone:piece were not tried: (.|\\n)*there is no module gone.py"
    ):
        judge("gone:piece", "x.py", {}, tmp_path)


# As a candidate writes them in a notebook, with what they need there of their own.
FUNCTION = """
import math

LOWEST = -math.inf

def rank(value, logged_at):
    return (logged_at, False, LOWEST) if math.isnan(value) else (logged_at, True, value)
"""
CLASS = """
class Base(DeclarativeBase):
    pass

class Point(Base):
    __tablename__ = "points"
    metric_id: Mapped[int] = mapped_column(ForeignKey("metrics.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float | None]
    logged_at: Mapped[int]
"""
METHOD = """
FIRST = 1

@property
def restarts(self):
    return len(self.attempts[FIRST:])
"""
CONSTANT = """
WHERE = "WHERE run_id = :run_id"
CURVES = f"SELECT key, id, last_step, version FROM metrics {WHERE}"
"""
ROUTE = """
router = APIRouter()

@router.post("/experiments", status_code=201, responses=refuses(409, 413))
def create_experiment(body: wire.ExperimentCreate, db: Db, who: Who, response: Response) -> wire.ExperimentOut:
    with db.write() as session:
        at = now_ms() if body.at is None else body.at
        made = store.experiments.create_experiment(session, body.name, body.description, at, who.owner)
        response.headers["Location"] = f"/experiments/{made.id}"
        return wire.ExperimentOut.model_validate(made)
"""
DEPENDENCY = """
async def _database(request: Request):
    return request.app.state.database
"""
STORE, API = "tests/tracker/server/store", "tests/tracker/server/test_api.py -k TestCreateExperiment"


@pytest.mark.parametrize(
    ("piece", "tests", "answer", "spoilt"),
    [
        ("tracker.values:rank", "tests/tracker/test_values.py -k rank", FUNCTION, ("True, value", "True, -value")),
        ("tracker.server.schema:Point", f"{STORE}/test_curves.py -k whole", CLASS, ('"points"', '"dots"')),
        ("tracker.server.schema:Run.restarts", f"{STORE}/test_runs.py -k 'resumes or restart'", METHOD, ("= 1", "= 0")),
        ("tracker.server.store.points:CURVES", f"{STORE}/test_points.py -k again", CONSTANT, ("run_id =", "run_id <>")),
        ("tracker.server.api.experiments:create_experiment", API, ROUTE, ("/{made.id}", "")),
        ("tracker.server.api.route:_database", API, DEPENDENCY, ("request.app", "request")),
    ],
    ids=["a function", "a class", "a method", "a constant", "a route", "a dependency"],
)
def test_answers_of_every_kind_run_in_the_tracker(piece: str, tests: str, answer: str, spoilt: tuple[str, str]) -> None:
    said = judge(piece, tests, {"right": answer, "wrong": answer.replace(*spoilt)}, ROOT)
    assert {name: tested.code for name, tested in said.items()} == {REFERENCE: PASSED, "right": PASSED, "wrong": FAILED}
