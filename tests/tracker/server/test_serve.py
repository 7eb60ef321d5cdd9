"""What `tracker serve` is made of; `tests/tracker/test_cli.py` runs it as a user does."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracker.server import serve
from tracker.server.serve import CannotServe, inherited, listen


def test_a_port_that_is_none_or_busy_is_refused() -> None:
    with pytest.raises(CannotServe, match="from 0 to 65535"):
        listen("127.0.0.1", 70_000)
    with socket.create_server(("127.0.0.1", 0)) as busy, pytest.raises(CannotServe, match="already in use"):
        listen("127.0.0.1", busy.getsockname()[1])


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(CannotServe, match="cannot listen at 203.0.113.1 on port 0"):
        listen("203.0.113.1", 0)


def test_a_busy_default_port_gives_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        first = busy.getsockname()[1]
        monkeypatch.setattr(serve, "PORT", first)
        with listen("127.0.0.1", None) as listener:
            assert first < listener.getsockname()[1] < first + serve.PORTS


def test_a_number_that_is_no_listening_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(CannotServe, match=r"--fd \d+ is no socket"):
        inherited(file.fileno())
    for fd in (-1, 999_999):
        with pytest.raises(CannotServe, match=f"--fd {fd} is no socket that this process was given"):
            inherited(fd)
    with socket.socket() as silent, pytest.raises(CannotServe, match=f"the socket --fd {silent.fileno()} does not li"):
        inherited(silent.fileno())


def test_a_socket_that_listens_already_is_answered_at(tmp_path: Path) -> None:
    """Who asks before the server is there waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = [sys.executable, "-m", "tracker", "serve", "--fd", str(fd), "--dir", str(tmp_path)]
        port = listener.getsockname()[1]
        with subprocess.Popen(command, pass_fds=[fd], stdout=subprocess.PIPE, text=True) as process:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("GET", "/healthz")
                assert connection.getresponse().status == 200
                connection.close()
                assert process.stdout
                assert f"http://127.0.0.1:{port}/ui/" in process.stdout.readline()
            finally:
                process.terminate()


def test_an_answer_is_sent_at_once(tmp_path: Path) -> None:
    """Not after the 40 ms for which a client's acknowledgement may wait: a socket that is accepted has the option of
    the one that listens."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_connection_that_is_idle_between_two_heartbeats_stays_open(tmp_path: Path) -> None:
    assert serve.KEEP_ALIVE > 15
    command = [sys.executable, "-m", "tracker", "serve", "--port", "0", "--quiet", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
        for pause in (0, 6):  # uvicorn's own limit is 5 s
            time.sleep(pause)
            connection.request("GET", "/healthz")
            assert json.loads(connection.getresponse().read())["status"] == "ok"
        connection.close()
        process.terminate()
