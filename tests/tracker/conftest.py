"""Trackers in processes of their own, as people run them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVE = [sys.executable, "-m", "tracker", "serve", "--quiet"]


Serve = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server process, waits until it answers, and gives its address; all are killed in the end."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, port: int, **environment: str) -> tuple[subprocess.Popen[str], str]:
        command = [*SERVE, "--dir", str(folder), "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
        started.append(process)
        assert process.stdout
        found = re.search(r"(http://\S+)/ui/", process.stdout.readline())
        assert found
        return process, found[1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run_tracker() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command `tracker` to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tracker", *arguments]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)

    return run


Environment = dict[str, str]


@pytest.fixture
def on_postgres(postgres_tables: str) -> Environment:
    """What makes `tracker serve` one of several servers of one PostgreSQL."""
    return {"TRACKER_DATABASE_URL": postgres_tables, "TRACKER_AUTH": "open"}


@pytest.fixture
def on_queue(on_postgres: Environment, rabbitmq_url: str, queue_prefix: str) -> Environment:
    """The same with a queue before the database."""
    return on_postgres | {"TRACKER_RABBITMQ_URL": rabbitmq_url, "TRACKER_QUEUE": queue_prefix}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a worker process; all are killed in the end. With `code`, it is run before the worker, in its process."""
    started: list[subprocess.Popen[str]] = []

    def start(environment: Environment, code: str = "") -> subprocess.Popen[str]:
        run = f"{code}\nimport sys; from tracker.cli import main; sys.exit(main(['worker']))"
        log = (tmp_path / f"worker-{len(started)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-c", run],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"TRACKER_DIR": str(tmp_path)} | environment,
        )
        log.close()
        started.append(process)
        assert process.stdout
        assert process.stdout.readline().startswith("tracker: from the queue")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
