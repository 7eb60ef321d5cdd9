import os
import subprocess
import sys

import pytest

from workbook.labs import offline

ASK = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
"""


def test_there_is_loopback_and_nothing_else() -> None:
    if not offline.is_possible():
        assert os.environ.get("CI") != "true", "unshare --user --net is not possible here"
        pytest.skip("not run: it needs Linux with user namespaces (unshare --user --net)")
    ran = subprocess.run(offline.command([sys.executable, "-c", ASK]), capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("Network is unreachable\n", "")


def test_elsewhere_it_is_not_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert offline.is_possible.__wrapped__() is False
