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
