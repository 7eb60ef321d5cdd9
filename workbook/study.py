"""`make study`: the tracker, three trained runs to look at, and JupyterLab, all of which end together."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from pathlib import Path

from .processes import Processes, end_in_order
from .source import ROOT

CONFIG = Path(__file__).parent / "jupyter"
LAB = "/lab/tree/notebooks/start.ipynb"


def study(*, browser: bool) -> int:
    """Starts everything, prints the addresses, and waits for Ctrl-C. Raises NotStarted."""
    end_in_order()
    try:
        with Processes() as running:
            print("Starting the tracker and JupyterLab ...", flush=True)
            token = secrets.token_hex(16)
            url, server = running.tracker()
            environment = {"TRACKER_URL": url, "JUPYTER_TOKEN": token, "JUPYTER_CONFIG_PATH": str(CONFIG)}
            lab = running.start("jupyter", _jupyter(), environment)
            running.demo(url, server)
            port = running.wait_for(lab, "jupyter", re.compile(r"http://127\.0\.0\.1:(\d+)/"))
            _wait_for_port(lab, int(port))
            workbook = f"http://127.0.0.1:{port}{LAB}?token={token}"
            print(f"\n  workbook   {workbook}\n  dashboard  {url}/ui/\n\nCtrl-C ends both.", flush=True)
            if browser and _has_browser():
                webbrowser.open(workbook)
            while lab.poll() is None and (server is None or server.poll() is None):
                time.sleep(0.5)
        print("One of them has ended by itself; the other was ended too. The logs are in .tracker", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nEnded. Your answers are in exercises/, what was tracked is in .tracker/")
        return 0
    return 1


def _jupyter() -> list[str]:
    return [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", f"--ServerApp.root_dir={ROOT}"),
        "--ServerApp.ip=127.0.0.1",
        # JupyterLab would ask a server on the internet for news and for newer versions of itself. It also asks the
        # reader whether it may: workbook/jupyter/labconfig answers that.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """JupyterLab says where it is some milliseconds before it can be reached there."""
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.02)


def _has_browser() -> bool:
    """A screen to show one on; `webbrowser` would else start a text browser in this terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
