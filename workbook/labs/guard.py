"""A process that runs a server for somebody else, for as long as that somebody lives.

    python guard.py FOLDER COMMANDS      the commands as JSON: [[program, argument, ...], ...]

All commands but the last prepare, each run to its end; the last is the server. It is interrupted as soon as the guard's
standard input is closed, and then the folder is removed. The operating system closes that pipe however its other end
dies, so a notebook's kernel that is killed leaves neither a server nor a folder.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys

LOOK_SECONDS = 0.2  # how often to see whether the server has ended by itself
STOP_SECONDS = 10.0  # for the server to end when it is told to


def main(folder: str, commands: list[list[str]]) -> int:
    """Runs the commands; the exit code of the one that failed, or of the server."""
    try:
        for command in commands[:-1]:
            code = subprocess.call(command, stdin=subprocess.DEVNULL)
            if code:
                return code
        return serve(commands[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def serve(command: list[str]) -> int:
    """Runs the server until it ends, or until our standard input does."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as server:
        while server.poll() is None:
            if select.select([sys.stdin], [], [], LOOK_SECONDS)[0] and not os.read(0, 1024):
                server.send_signal(signal.SIGINT)
                try:
                    server.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    server.kill()
        return server.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
