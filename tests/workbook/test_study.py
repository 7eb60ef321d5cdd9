"""`make study` as a process: what it starts, prints, shares and ends. The browser's view of it is in tests/browser."""

import socket
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.thorough


def test_it_starts_everything_and_ends_everything(
    checkout: Path, studying: Any, wait_until: Callable[..., None]
) -> None:
    before = {path.name for path in checkout.iterdir()}
    with studying(checkout) as study:
        for address in (study.workbook, study.dashboard):
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address) as answer:
                assert answer.status == 200
        url = study.dashboard.removesuffix("/ui/")
        wait_until(lambda: finished_runs(url) == 3, 60)
        children = psutil.Process(study.process.pid).children(recursive=True)
        assert len(children) >= 2

        with studying(checkout) as second:
            assert second.dashboard == study.dashboard
            assert second.workbook.split("/lab")[0] != study.workbook.split("/lab")[0]
            assert finished_runs(url) == 3
        assert httpx.get(f"{url}/healthz").status_code == 200
    assert study.process.returncode == 0
    assert not any(child.is_running() for child in children)
    assert {path.name for path in checkout.iterdir()} - before <= {".tracker", "home"}


def finished_runs(url: str) -> int:
    experiments = httpx.get(f"{url}/experiments", params={"name": "digits"}).json()["items"]
    if not experiments:
        return 0
    runs = httpx.get(f"{url}/experiments/{experiments[0]['id']}/runs").json()["items"]
    return sum(run["status"] == "finished" for run in runs)


def test_a_busy_port_gives_the_next_one(checkout: Path, studying: Any) -> None:
    with ExitStack() as busy:
        with suppress(OSError):  # busy already: all the better
            busy.enter_context(socket.create_server(("127.0.0.1", 8000)))
        with studying(checkout) as study:
            assert study.dashboard != "http://127.0.0.1:8000/ui/"
            assert httpx.get(study.dashboard).status_code == 200
