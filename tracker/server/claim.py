"""Who has the folder: at most one server, because SQLite wants one process that writes.

<TRACKER_DIR>/serve.lock    locked by that server; in it, the address at which it listens
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FolderBusy(Exception):
    """Another server has the folder. `address` is where it listens, if it has said so."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(f"another tracker has the folder {folder}" + (f" and listens at {address}" if address else ""))
        self.address = address


class Claim:
    """The folder is ours until `release` or the end of the process, however it ends (the lock is the kernel's)."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder. Raises FolderBusy, or OSError where it cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(folder / "serve.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            address = os.read(self._fd, 200).decode()
            os.close(self._fd)
            raise FolderBusy(folder, address) from None
        os.ftruncate(self._fd, 0)

    def announce(self, address: str) -> None:
        """Where we listen, for whoever finds the folder busy."""
        os.pwrite(self._fd, address.encode(), 0)

    def release(self) -> None:
        """Gives the folder back."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def holder(folder: Path) -> str:
    """Where the server that has the folder listens; an empty text where there is none, or none that has said so."""
    try:
        with (folder / "serve.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return (folder / "serve.lock").read_text()
    except OSError:
        pass
    return ""
