"""The services of a checkout: PostgreSQL, Valkey and RabbitMQ in the background, from `up` to `down`.

.workbook/services.lock   locked by their keeper (see `keeper`) for as long as it lives
.workbook/services.json   the keeper's pid, whether it is done with starting, and of each service its title, its
                          address, its own pid, and since when it runs (seconds since 1970)
.workbook/services.log    what the keeper has to complain of

The file counts only while the lock is held: pids are given to others once their process has ended, a lock is not. What
the services keep is in temporary folders, and ends with them.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from ..source import ROOT
from .postgres import Postgres
from .rabbitmq import RabbitMQ
from .server import Server
from .valkey import Valkey

FOLDER = ROOT / ".workbook"
STOP_SECONDS = 60.0

# The variable by which the tracker knows a service, and how one is started. Whoever kills the database of a lab wants
# to see what a real one keeps.
KINDS: dict[str, Callable[[], Server]] = {
    "TRACKER_DATABASE_URL": partial(Postgres, durable=True),
    "TRACKER_REDIS_URL": Valkey,
    "TRACKER_RABBITMQ_URL": RabbitMQ,
}
ANSWERS: dict[str, Callable[[str], bool]] = {kind.title: kind.answers_at for kind in (Postgres, Valkey, RabbitMQ)}


class NoServices(Exception):
    """They could not be started or stopped; the text says why."""


@dataclass(frozen=True)
class Service:
    """One that was started."""

    title: str
    variable: str
    url: str
    pid: int
    since: float

    def answers(self) -> bool:
        """Whether it still serves."""
        return ANSWERS[self.title](self.url)


@dataclass
class Services:
    """What a keeper has started so far."""

    keeper: int
    ready: bool = False
    started: list[Service] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """A reader sees all of it or what was there before. Addresses have passwords: nobody else may read them."""
        new = folder / "services.new"
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(self)))
        new.replace(folder / "services.json")


def read(folder: Path) -> Services | None:
    """What the file says, whether or not it still holds."""
    try:
        found = json.loads((folder / "services.json").read_text())
    except FileNotFoundError:
        return None
    return Services(found["keeper"], found["ready"], [Service(**service) for service in found["started"]])


def lock(folder: Path) -> int | None:
    """The lock, held for as long as what is returned is open; None while a keeper has it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "services.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def kept(folder: Path) -> bool:
    """Whether a keeper lives."""
    descriptor = lock(folder)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def up(folder: Path, say: Callable[[str], None]) -> Services:
    """Starts them, saying how it goes; those that run when they run already. Ctrl-C ends what was started. Raises
    NoServices."""
    if kept(folder):
        say("They run already:")
        return _complete(folder)
    with (folder / "services.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "workbook.labs.keeper", str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # it outlives us and our terminal, unless we end it
        )
    assert keeper.stdout
    try:
        for line in keeper.stdout:
            say(line.rstrip())
        services = _complete(folder)
    except BaseException:
        keeper.terminate()
        keeper.wait()
        raise
    finally:
        keeper.stdout.close()
    keeper.returncode = 0  # it is on its own from now on, and nobody need wait for it
    return services


def _complete(folder: Path) -> Services:
    """What runs, when all have been started. Raises NoServices."""
    services = read(folder) if kept(folder) else None
    if services is None:
        said = (folder / "services.log").read_text(errors="replace").strip()
        raise NoServices("no service could be started" + (f"; the keeper said:\n{said}" if said else ""))
    if not services.ready:
        raise NoServices("they are being started by another `workbook lab services up`; try again when it is done")
    return services


def down(folder: Path) -> Services | None:
    """Ends them, and returns what ran; None when nothing did. Raises NoServices."""
    services = read(folder)
    if not kept(folder):
        (folder / "services.json").unlink(missing_ok=True)
        return None
    if services is None:
        raise NoServices("they are only just being started; try again in a moment")
    os.kill(services.keeper, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while kept(folder):
        if time.monotonic() > deadline:
            raise NoServices(f"their keeper (process {services.keeper}) does not end; try: kill -9 {services.keeper}")
        time.sleep(0.02)
    return services
