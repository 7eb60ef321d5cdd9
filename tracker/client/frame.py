"""What a tracker knows, as pandas tables: for comparing runs, and for every plot that the dashboard does not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tracker.values import MAX_INTEGER, MAX_SHOWN, decode

from .http import Api
from .run import DEFAULT_URL

if TYPE_CHECKING:
    import pandas as pd


def to_frame(experiment: str, key: str | None = None, *, url: str | None = None) -> pd.DataFrame:
    """The runs of an experiment, newest first; or every point of one of their metrics.

    Without `key`, a row per run, by its id: `run` (its name), `status`, and a column for each of its `params.` and for
    the newest value of each of its `metrics.`. With `key`, a row per point: `id`, `run`, `step` and `value`, sorted by
    run and step. `url` is the tracker's address (else TRACKER_URL, else http://127.0.0.1:8000).

    Raises ValueError where there is no such experiment, Unanswered where there is no tracker, and ModuleNotFoundError
    without pandas.
    """
    import pandas as pd

    with closing(Api(url or os.environ.get("TRACKER_URL") or DEFAULT_URL)) as api:
        found = api.experiment(experiment)
        if not found:
            raise ValueError(f"there is no experiment named {experiment!r} at {api.url}")
        runs = list(_runs(api, found["id"]))
        if key is None:
            return pd.DataFrame([_row(run) for run in runs], index=pd.Index([run["id"] for run in runs], name="id"))
        points = [
            (run["id"], run["name"], step, value)
            for run in sorted(runs, key=lambda run: int(run["id"]))
            if key in run["latest"]
            for step, value in _points(api, run["id"], key)
        ]
        return pd.DataFrame(points, columns=["id", "run", "step", "value"])


def _row(run: dict[str, Any]) -> dict[str, Any]:
    params = {f"params.{name}": value for name, value in run["params"].items()}
    metrics = {f"metrics.{key}": decode(point["value"]) for key, point in run["latest"].items()}
    return {"run": run["name"], "status": run["status"]} | params | metrics


def _runs(api: Api, experiment_id: int) -> Iterator[dict[str, Any]]:
    """All of them, page by page."""
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = api.request("GET", f"/experiments/{experiment_id}/runs?{urlencode(query)}")
        yield from page["items"]
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def _points(api: Api, run_id: int, key: str, start: int = 0, end: int = MAX_INTEGER) -> Iterator[tuple[int, float]]:
    """All from step `start` to step `end`, sorted by step; in two halves where one answer cannot hold them."""
    window = urlencode({"from": start, "to": end, "max_points": MAX_SHOWN})
    curve = api.request("GET", f"/runs/{run_id}/metrics/{quote(key)}?{window}")
    if curve["sampled"]:
        middle = (curve["first"][0] + curve["last"][-1]) // 2
        yield from _points(api, run_id, key, start, middle)
        yield from _points(api, run_id, key, middle + 1, end)
    else:
        yield from zip(curve["steps"], map(decode, curve["values"]), strict=True)
