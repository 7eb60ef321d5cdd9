"""Runs a command where there is no network but this machine's own loopback.

python offline.py COMMAND ARGUMENT ...      in a network namespace of its own: `offline.command` writes this line
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from functools import cache

NAMESPACE = ["unshare", "--user", "--map-root-user", "--net"]
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1  # of Linux, <linux/sockios.h> and <linux/if.h>


def command(arguments: list[str]) -> list[str]:
    """The command that runs these arguments offline."""
    return [*NAMESPACE, sys.executable, __file__, *arguments]


@cache
def is_possible() -> bool:
    """Linux, where namespaces are allowed. Elsewhere nothing can be said about a computer without a network."""
    if not sys.platform.startswith("linux") or not shutil.which("unshare"):
        return False
    return subprocess.run(command(["true"]), capture_output=True, check=False).returncode == 0


def main(arguments: list[str]) -> None:
    """Becomes the command, once loopback is up: a new namespace has it, but down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        loopback = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(control, GET_FLAGS, loopback))[1]
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh", b"lo", flags | UP))
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
