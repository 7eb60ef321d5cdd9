"""`tracker doctor`: what is configured, reachable and up to date, and what to do about what is not.

Each finding is a line: what was looked at and what was found; and, where it is not as it should be, what to do.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import __version__
from .client.http import Api, NotAllowed, Refused, Unanswered
from .client.spool import Spool, spools
from .server import remote
from .server.claim import holder
from .server.config import BadSetting, Settings

EXTRAS = {
    "server": ("fastapi", "sqlalchemy", "alembic", "uvicorn"),
    "frame": ("pandas",),
    "train": ("numpy", "sklearn"),
}
SECRETS = ("TRACKER_KEY", "TRACKER_SECRET")
LITTLE = 1 << 30  # bytes: below this, a disk is soon full
SKEW = 5.0  # s between two clocks; the times of runs that are sent late would be off by this much


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do about it (empty: it is as it should be)."""

    what: str
    found: str
    remedy: str = ""


def examine(url: str, folder: Path) -> Iterator[Finding]:
    """All there is to say of the tracker at `url` and of the folder of this machine's own data, one by one."""
    yield Finding("version", f"tracker {__version__} on Python {sys.version.split()[0]}")
    yield _packages()
    yield _environment(os.environ)
    yield _folder(folder)
    yield from _configured(folder)
    yield from _server(url, folder)
    yield from _spools(folder)


def _packages() -> Finding:
    missing = {extra: [name for name in names if find_spec(name) is None] for extra, names in EXTRAS.items()}
    said = [
        f"{extra} needs {', '.join(names)} (pip install 'tracker-workbook[{extra}]')" if names else f"{extra} installed"
        for extra, names in missing.items()
    ]
    return Finding("packages", "; ".join(said))


def _environment(environment: Mapping[str, str]) -> Finding:
    ours = [f"{n}={_shown(n, value)}" for n, value in sorted(environment.items()) if n.startswith("TRACKER_")]
    return Finding("environment", ", ".join(ours) or "no TRACKER_ variable is set: the defaults hold")


def _shown(name: str, value: str) -> str:
    """What is secret stays so: what a doctor says is pasted into mails."""
    return "***" if name in SECRETS else re.sub(r"(?<=://)([^/@:]*:).*(?=@)", r"\1***", value)


def _folder(folder: Path) -> Finding:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(place, os.W_OK):
        return Finding("folder", f"{folder} cannot be written", "name another with --dir or TRACKER_DIR")
    free = shutil.disk_usage(place).free
    found = f"{folder}{'' if place == folder else ' (made when it is needed)'}, {free / 1e9:.1f} GB free"
    return Finding("folder", found, "" if free > LITTLE else "make room: on a full disk nothing can be stored")


def _configured(folder: Path) -> Iterator[Finding]:
    """The database, and the services that the environment names."""
    try:
        settings = Settings.from_environment(os.environ | {"TRACKER_DIR": str(folder)})
        driver = remote.driver() if settings.redis_url else None
    except (ModuleNotFoundError, BadSetting) as error:
        yield Finding("settings", str(error), "`tracker serve` will not start before this is mended")
        return
    if not settings.database_url and not (folder / "tracker.db").exists():
        yield Finding("database", f"none in {folder} yet: `tracker serve` makes it")
    elif all(find_spec(name) for name in EXTRAS["server"]):
        yield _tables(settings)
    if driver:
        yield _redis(settings.redis_url, driver)
    if settings.rabbitmq_url:
        yield _queue(settings)


def _tables(settings: Settings) -> Finding:
    from sqlalchemy.exc import DatabaseError

    from .server.migrations import versions
    from .server.opening import open_database

    try:
        database = open_database(settings)
    except ModuleNotFoundError as missing:
        remedy = "pip install 'tracker-workbook[postgres]'"
        return Finding("database", f"TRACKER_DATABASE_URL is set, and {missing.name} is missing", remedy)
    where = "name another folder with --dir" if database.is_sqlite else "look at TRACKER_DATABASE_URL"
    try:
        version, newest = versions(database)
    except DatabaseError as error:
        return Finding("database", f"{database.name} cannot be read ({str(error.orig).splitlines()[0]})", where)
    finally:
        database.close()
    size = f", {(settings.folder / 'tracker.db').stat().st_size:,} bytes" if database.is_sqlite else ""
    found = f"{database.name}{size}, tables of version {version}"
    if version == newest:
        return Finding("database", f"{found}, the newest")
    if version is None or version < newest:
        by = "serve" if database.is_sqlite else "migrate"
        return Finding("database", f"{found}: `tracker {by}` makes them {newest}")
    elsewhere = f"start the tracker that made it, or {where}"
    return Finding("database", f"{found}, and this tracker knows {newest} at most", elsewhere)


def _redis(url: str, driver: Any) -> Finding:
    with closing(driver.Redis.from_url(url, socket_timeout=5.0, socket_connect_timeout=5.0)) as client:
        try:
            found = client.info("server")
        except (driver.RedisError, OSError) as error:
            remedy = "start it, or unset TRACKER_REDIS_URL: without it the tracker does its work more slowly"
            return Finding("redis", f"{_shown('', url)} does not answer ({error})", remedy)
    name, version = ("Valkey", "valkey_version") if "valkey_version" in found else ("Redis", "redis_version")
    return Finding("redis", f"{_shown('', url)} answers, {name} {found.get(version)}")


def _queue(settings: Settings) -> Finding:
    where = _shown("", settings.rabbitmq_url)
    try:
        from .server.dead import count
        from .server.opening import CannotServe
    except ModuleNotFoundError as missing:
        remedy = "pip install 'tracker-workbook[rabbitmq]'"
        return Finding("queue", f"TRACKER_RABBITMQ_URL is set, and {missing.name} is missing", remedy)
    try:
        waiting, dead = count(settings)
    except CannotServe as reason:
        return Finding("queue", f"{where} does not answer", str(reason))
    found = f"{where} answers; {waiting} batches of points wait for a worker, {dead} could not be stored"
    return Finding("queue", found, "`tracker dead list` says why" if dead else "")


def _server(url: str, folder: Path) -> Iterator[Finding]:
    there = holder(folder)
    remedy = (
        f"name the one of this folder: --url {there}, or TRACKER_URL" if there else "start one with `tracker serve`"
    )
    try:
        with closing(Api(url, timeout=5.0)) as api:
            yield from _reachable(api)
    except (ValueError, Unanswered) as error:
        yield Finding("server", str(error), remedy)
    except Refused as refused:
        yield Finding("server", f"{url} is no tracker, or one of another kind ({refused})", remedy)


def _reachable(api: Api) -> Iterator[Finding]:
    asked = time.time()
    health = api.request("GET", "/healthz")
    other = health.get("version") != __version__
    found = f"{api.url} answers, version {health.get('version')}"
    yield Finding("server", found, f"this one is {__version__}: use the same on both sides" if other else "")
    skew = parsedate_to_datetime(api.date).timestamp() - asked if api.date else 0.0
    if abs(skew) > SKEW:
        ahead = "ahead of" if skew > 0 else "behind"
        yield Finding("clock", f"the server's is {abs(skew):.0f} s {ahead} this machine's", "set both by NTP")
    try:
        api.request("GET", "/readyz")
    except Unanswered as unanswered:
        yield Finding("server", f"it is not ready: {unanswered}", "its log says why")
        return
    try:
        api.request("GET", "/experiments?limit=1")
    except NotAllowed as refusal:
        yield Finding("key", str(refusal), "ask who runs the tracker for one: `tracker key create` makes it")


def _spools(folder: Path) -> Iterator[Finding]:
    there = spools(folder / "spool")
    unsent = {file: size for file in there if (size := _unsent(file))}
    if not unsent:
        yield Finding("spool", f"{len(there)} runs, and nothing that waits to be sent")
    else:
        found = f"{len(there)} runs; of {len(unsent)} something waits to be sent, {sum(unsent.values()):,} bytes"
        yield Finding("spool", found, "send it with `tracker sync`, which leaves alone what a training is sending")
    refused = [file for file in there if file.with_suffix(".refused").exists()]
    if refused:
        remedy = f"read why in {folder}/spool/*.refused, and delete these files when you know"
        yield Finding("refused", f"a part of {len(refused)} runs", remedy)


def _unsent(file: Path) -> int:
    with closing(Spool(file)) as spool:
        return spool.unsent


def report(url: str, folder: Path, say: Callable[[str], object] = print) -> bool:
    """Says it all, and returns whether all is well."""
    well = True
    for finding in examine(url, folder):
        well = well and not finding.remedy
        mark = "!" if finding.remedy else " "
        say(f"{mark} {finding.what:12}{finding.found}" + (f"\n  {'':12}-> {finding.remedy}" if finding.remedy else ""))
    return well
