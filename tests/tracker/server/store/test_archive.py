import csv
import io
import json
import math
from typing import Any

import pandas as pd
import pytest
from sqlalchemy.orm import Session

from tracker.server import problem
from tracker.server.schema import Experiment
from tracker.server.store import archive, points, runs
from tracker.values import Status


def entries(session: Session, experiment: Experiment) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read_lines(session, experiment.id)]


def test_that_of_an_unknown_experiment_is_refused_before_its_first_line(session: Session) -> None:
    for read in (archive.read_lines, archive.read_csv):
        with pytest.raises(problem.NotFound, match="no experiment 9"):
            next(read(session, 9))


def test_an_experiment_without_runs_is_one_line(session: Session, experiment: Experiment) -> None:
    experiment.description = "all ten"
    described = {"name": "digits", "description": "all ten"}
    assert entries(session, experiment) == [{"experiment": described, "at": 100, "v": 1}]


def test_a_run_is_its_attempts_its_rewinds_its_points_and_its_end(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(
        session, experiment.id, external_id="x", name="n", params={"lr": 1}, tags={"t": 2}, status=Status.QUEUED, at=5
    )
    runs.create_run(session, experiment.id, external_id="x", attempt="one", job="7", at=10)
    points.add_points(session, run.id, [("b", 1, math.nan, 12), ("a", 1, 0.5, 12), ("a", 2, math.inf, 13)], at=0)
    points.add_points(session, run.id, [("a", 3, 1.0, 14), ("late", 1, 2.0, 99)], at=0)
    points.rewind(session, run.id, step=2, until=50)
    runs.create_run(session, experiment.id, external_id="x", attempt="two", job="8", at=60)
    runs.change_run(session, run.id, status=Status.FAILED, at=70)
    described = {"experiment": "digits", "external_id": "x", "name": "n", "params": {"lr": 1}, "tags": {"t": 2}}
    described |= {"job": "8"}
    assert entries(session, experiment)[1:] == [
        {"run": described | {"status": "queued"}, "at": 5, "v": 1},
        {"run": described | {"attempt": "one"}, "at": 10, "v": 1},
        {"run": described | {"attempt": "two"}, "at": 60, "v": 1},
        {"rewind": 2, "at": 50},
        {"log": {"a": 0.5, "b": "NaN"}, "step": 1, "at": 12},
        {"log": {"late": 2.0}, "step": 1, "at": 99},
        {"log": {"a": "Infinity"}, "step": 2, "at": 13},
        {"end": "failed", "at": 70},
    ]


def test_what_was_logged_together_is_a_line(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, at=0)
    points.add_points(session, run.id, [("a", 7, 1.0, 20), ("b", 7, 2.0, 30), ("c", 7, 3.0, 20)], at=0)
    logged = [(e["at"], list(e["log"])) for e in entries(session, experiment) if "log" in e]
    assert logged == [(20, ["a", "c"]), (30, ["b"])]


def test_a_run_that_waits_to_go_on_says_so(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, attempt="one", at=10)
    runs.change_run(session, run.id, status=Status.PREEMPTED, at=20)
    runs.change_run(session, run.id, status=Status.QUEUED, at=30)
    assert [e["end"] for e in entries(session, experiment) if "end" in e] == ["preempted", "queued"]
    assert "end" not in entries(session, experiment)[1]


def test_a_line_has_only_so_many_metrics(
    session: Session, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "IN_A_LINE", 3)
    run, _ = runs.create_run(session, experiment.id, at=0)
    points.add_points(session, run.id, [(key, 0, 1.0, 5) for key in "abcdefg"], at=0)
    assert [list(e["log"]) for e in entries(session, experiment) if "log" in e] == [list("abc"), list("def"), ["g"]]


def test_a_table_has_a_row_for_each_point_that_other_programs_read(session: Session, experiment: Experiment) -> None:
    run, _ = runs.create_run(session, experiment.id, name='a "b", c', at=0)
    given = [("loss", 0, 0.1, 5), ("loss", 1, math.nan, 6), ("x,y", 1, -math.inf, 6)]
    points.add_points(session, run.id, given, at=0)
    text = "".join(archive.read_csv(session, experiment.id))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(r["run"], r["key"], r["step"], r["at"]) for r in rows] == [
        ('a "b", c', key, str(step), str(at)) for key, step, _, at in given
    ]
    values = pd.read_csv(io.StringIO(text))["value"]
    assert (values[0], math.isnan(values[1]), values[2]) == (0.1, True, -math.inf)


def test_runs_come_one_after_the_other(session: Session, experiment: Experiment) -> None:
    ids = []
    for number in range(3):
        run, _ = runs.create_run(session, experiment.id, external_id=f"x{number}", at=number)
        points.add_points(session, run.id, [("loss", 0, float(number), 5)], at=0)
        ids.append(run.external_id)
    found = entries(session, experiment)[1:]
    assert [e["run"]["external_id"] for e in found if "run" in e] == ids
    assert [e["log"]["loss"] for e in found if "log" in e] == [0.0, 1.0, 2.0]
