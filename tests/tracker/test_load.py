"""Many clients at once, against a real server: nothing is refused, lost or stored twice."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

CLIENTS = 16
AT_MOST = 5_000  # points of one client: a faster machine is done earlier


def log_points(url: str, run: int, key: str, first: int, seconds: float) -> list[int]:
    """Logs one point per request, at every sixteenth step from the first on; the steps that were acknowledged."""
    acknowledged = []
    end = time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=60) as http:
        for step in range(first, first + CLIENTS * AT_MOST, CLIENTS):
            points = [{"key": key, "value": step / 7, "step": step, "at": step}]
            answer = http.post(f"/runs/{run}/metrics", json={"points": points})
            assert (answer.status_code, answer.json()) == (201, {"accepted": 1}), answer.text
            acknowledged.append(step)
            if time.monotonic() > end:
                break
    return acknowledged


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_single_points_of_many_clients_all_arrive_once(tmp_path: Path, serve: Any, seconds: float) -> None:
    """A third of them have a run of their own, a third a curve of their own in one run, a third share one curve."""
    _, url = serve(tmp_path, 0)
    experiment = httpx.post(f"{url}/experiments", json={"name": "e"}).json()["id"]
    runs = [httpx.post(f"{url}/experiments/{experiment}/runs", json={}).json()["id"] for _ in range(CLIENTS)]
    curves = [[(runs[i], "own run"), (runs[0], f"own curve {i}"), (runs[0], "shared")][i % 3] for i in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        logging = [pool.submit(log_points, url, *curve, i, seconds) for i, curve in enumerate(curves)]
    sent: dict[tuple[int, str], list[int]] = {}
    for curve, acknowledged in zip(curves, logging, strict=True):
        sent.setdefault(curve, []).extend(acknowledged.result())
    for (run, key), steps in sent.items():
        stored = httpx.get(f"{url}/runs/{run}/metrics/{key}", params={"max_points": 100_000}).json()
        assert stored["steps"] == stored["at"] == sorted(steps)
        assert stored["values"] == [step / 7 for step in sorted(steps)]
    for run in runs:
        assert httpx.patch(f"{url}/runs/{run}", json={"status": "finished"}).status_code == 200
    ended = httpx.get(f"{url}/experiments/{experiment}/runs").json()["items"]
    counts = {(run["id"], key): latest["count"] for run in ended for key, latest in run["latest"].items()}
    assert counts == {curve: len(steps) for curve, steps in sent.items()}
