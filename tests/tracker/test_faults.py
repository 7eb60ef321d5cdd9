"""Nothing is lost when a process is killed: the training, or the server in the middle of its work."""

import json
import os
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import tracker

TIMES = 3  # in `make test`; twenty in `make test-slow`


def curve(url: str, external_id: str, key: str) -> list[tuple[int, float]]:
    (run,) = [r for r in httpx.get(f"{url}/experiments/1/runs").json()["items"] if r["external_id"] == external_id]
    found = httpx.get(f"{url}/runs/{run['id']}/metrics/{key}", params={"max_points": 100_000}).json()
    return list(zip(found["steps"], found["values"], strict=True))


def times(number: int) -> list[object]:
    return [pytest.param(i, marks=[pytest.mark.slow] if i >= TIMES else []) for i in range(number)]


@pytest.mark.parametrize("seed", times(20))
def test_a_server_killed_while_it_stores_loses_nothing_it_acknowledged(tmp_path: Path, serve: Any, seed: int) -> None:
    """The training's client is not told: it goes on logging, and catches up by itself when the server is back."""
    server, url = serve(tmp_path / "server", 0)
    made = httpx.post(f"{url}/experiments", json={"name": "e"}).json()
    run = httpx.post(f"{url}/experiments/{made['id']}/runs", json={"external_id": "by-hand"}).json()
    acknowledged: list[int] = []
    killer = threading.Timer(random.Random(seed).uniform(0.2, 0.7), server.kill)
    step = 0
    with tracker.init("e", external_id="by-client", url=url, folder=tmp_path / "client") as training:
        with httpx.Client(base_url=url) as http, suppress(httpx.TransportError):
            while True:
                training.log({"loss": float(step)}, step)
                points = [{"key": "loss", "value": step, "step": step}]
                assert http.post(f"/runs/{run['id']}/metrics", json={"points": points}).status_code == 201
                acknowledged.append(step)
                if step == 0:
                    killer.start()
                step += 1
        server.wait()
        for late in range(step + 1, step + 100):
            training.log({"loss": float(late)}, late)
        _, url = serve(tmp_path / "server", int(url.rpartition(":")[2]))
    stored = curve(url, "by-hand", "loss")
    assert len(acknowledged) > 0
    # What was on its way may have been stored without our hearing of it; nothing else differs.
    assert stored in ([(i, i) for i in acknowledged], [(i, i) for i in [*acknowledged, step]])
    assert curve(url, "by-client", "loss") == [(i, i) for i in range(step + 100)]


@pytest.mark.parametrize("seed", times(20))
def test_a_training_killed_after_its_last_log_loses_nothing(tmp_path: Path, serve: Any, seed: int) -> None:
    _, url = serve(tmp_path / "server", 0)
    count = random.Random(seed).randrange(1, 3000)
    code = (
        "import os, tracker\n"
        "run = tracker.init('e', external_id='killed')\n"
        f"for step in range({count}): run.log({{'loss': step}}, step)\n"
        "os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"TRACKER_URL": url, "TRACKER_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    spooled = (tmp_path / "spool" / "killed.jsonl").read_text().splitlines()
    assert sum("log" in json.loads(line) for line in spooled) == count
    subprocess.run([sys.executable, "-m", "tracker", "sync"], env=environment, check=True, capture_output=True)
    assert curve(url, "killed", "loss") == [(i, i) for i in range(count)]
