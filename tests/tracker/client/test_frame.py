import math
import uuid
from typing import Any

import httpx
import pytest

import tracker
from tracker.client import frame


@pytest.fixture(autouse=True)
def url(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_URL", str(http.base_url).rstrip("/"))


@pytest.fixture
def experiment() -> str:
    return f"größe & {uuid.uuid4().hex[:8]}"


def logged(tmp_path: Any, experiment: str, name: str, steps: int, **params: Any) -> None:
    with tracker.init(experiment, name=name, params=params, folder=tmp_path) as run:
        for step in range(steps):
            run.log({"a/b": math.nan if step == 1 else float(step)}, step)


def test_an_experiment_that_is_not_there_is_refused(experiment: str) -> None:
    with pytest.raises(ValueError, match="there is no experiment named 'größe"):
        tracker.to_frame(experiment)


def test_a_row_per_run(tmp_path: Any, experiment: str) -> None:
    logged(tmp_path, experiment, "one", 2, lr=0.1)
    logged(tmp_path, experiment, "two", 3, lr=0.2, seed=1)
    logged(tmp_path, experiment, "empty", 0)
    table = tracker.to_frame(experiment)
    assert list(table["run"]) == ["empty", "two", "one"]
    assert list(table.columns) == ["run", "status", "params.lr", "params.seed", "metrics.a/b"]
    two = table[table["run"] == "two"].iloc[0]
    assert (two["status"], two["params.lr"], two["params.seed"], two["metrics.a/b"]) == ("finished", 0.2, 1, 2.0)
    assert math.isnan(table[table["run"] == "one"].iloc[0]["metrics.a/b"])
    assert table.index.name == "id"


def test_more_runs_than_a_page_has(http: httpx.Client, experiment: str) -> None:
    made = http.post("/experiments", json={"name": experiment}).json()
    for _ in range(205):
        http.post(f"/experiments/{made['id']}/runs", json={})
    table = tracker.to_frame(experiment)
    assert len(table) == table.index.nunique() == 205


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 100])
def test_a_row_per_point_however_many_an_answer_holds(
    tmp_path: Any, experiment: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    logged(tmp_path, experiment, "one", 10)
    logged(tmp_path, experiment, "two", 3)
    monkeypatch.setattr(frame, "MAX_SHOWN", at_once)
    table = tracker.to_frame(experiment, "a/b")
    assert list(table["run"]) == ["one"] * 10 + ["two"] * 3
    assert list(table["step"]) == [*range(10), *range(3)]
    assert [v for v in table["value"] if v == v] == [0.0, *map(float, range(2, 10)), 0.0, 2.0]


def test_a_metric_that_nobody_logged_has_no_points(tmp_path: Any, experiment: str) -> None:
    logged(tmp_path, experiment, "one", 1)
    assert tracker.to_frame(experiment, "nothing").empty
