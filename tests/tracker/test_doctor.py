import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tracker import doctor
from tracker.client.spool import Writer, set_aside
from tracker.client.sync import sync
from tracker.server.claim import Claim
from tracker.server.db import Database, sqlite
from tracker.server.migrations import migrate

NOBODY = "http://127.0.0.1:1"  # where no server is


def found(url: str, folder: Path, what: str) -> tuple[str, str]:
    """What the doctor finds of one thing, and what it says to do."""
    (finding,) = [finding for finding in doctor.examine(url, folder) if finding.what == what]
    return finding.found, finding.remedy


def test_a_place_where_all_is_well_has_nothing_to_do(server: Any, tmp_path: Path) -> None:
    said: list[str] = []
    assert doctor.report(server.url, tmp_path / "new", said.append)
    text = "\n".join(said)
    assert "new (made when it is needed)" in text
    assert "database    none in" in text
    assert f"{server.url} answers, version 0.1.0" in text
    assert "0 runs, and nothing that waits to be sent" in text
    assert "->" not in text
    assert not (tmp_path / "new").exists()


def test_an_absent_server_is_told_with_its_remedy(tmp_path: Path) -> None:
    said: list[str] = []
    assert not doctor.report(NOBODY, tmp_path, said.append)
    (line,) = [line for line in said if line.startswith("!")]
    assert "! server      http://127.0.0.1:1 does not answer" in line
    assert "-> start one with `tracker serve`" in line


def test_a_server_of_this_folder_elsewhere_is_named(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    claim.announce("http://127.0.0.1:8001")
    assert found(NOBODY, tmp_path, "server")[1].startswith("name the one of this folder: --url http://127.0.0.1:8001")
    claim.release()


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    assert "TRACKER_URL is no address: 'here'" in found("here", tmp_path, "server")[0]


def test_a_server_that_is_no_tracker_is_told(server: Any, tmp_path: Path) -> None:
    assert "is no tracker, or one of another kind" in found(f"{server.url}/elsewhere", tmp_path, "server")[0]


def test_another_version_of_the_server_is_told(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "__version__", "9.9")
    assert found(server.url, tmp_path, "server")[1] == "this one is 9.9: use the same on both sides"


@pytest.mark.parametrize(("ahead", "says"), [(-100, "100 s ahead of"), (100, "100 s behind")])
def test_a_clock_that_differs_is_told(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, says: str
) -> None:
    clock = doctor.time.time
    monkeypatch.setattr(doctor.time, "time", lambda: clock() + ahead + 0.5)  # in the middle of the second of a Date
    assert says.split()[1] in found(server.url, tmp_path, "clock")[0]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)  # root may write everywhere
    assert found(NOBODY, tmp_path, "folder") == (
        f"{tmp_path} cannot be written",
        "name another with --dir or TRACKER_DIR",
    )


def test_a_disk_that_is_nearly_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LITTLE", 1 << 60)
    assert found(NOBODY, tmp_path, "folder")[1].startswith("make room")


@pytest.mark.parametrize(
    ("version", "says", "remedy"),
    [("0001", "`tracker serve` makes them 0003", ""), ("9999", "knows 0003 at most", "start the tracker that made it")],
)
def test_tables_of_another_version_are_told(tmp_path: Path, version: str, says: str, remedy: str) -> None:
    database = Database(sqlite(tmp_path / "tracker.db"))
    migrate(database)
    database.close()
    assert found(NOBODY, tmp_path, "database")[0].endswith("tables of version 0003, the newest")
    with closing(sqlite3.connect(tmp_path / "tracker.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    assert says in found(NOBODY, tmp_path, "database")[0]
    assert found(NOBODY, tmp_path, "database")[1].startswith(remedy)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "tracker.db").write_text("my notes " * 1000)
    assert "cannot be read (file is not a database)" in found(NOBODY, tmp_path, "database")[0]


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"frame": ("no_such_package",), "train": ("numpy",)})
    assert found(NOBODY, tmp_path, "packages")[0] == (
        "frame needs no_such_package (pip install 'tracker-workbook[frame]'); train installed"
    )


def test_the_environment_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_DIR", "/here")
    assert "TRACKER_DIR=/here" in found(NOBODY, tmp_path, "environment")[0]


def test_what_waits_to_be_sent_and_what_was_refused_is_told(server: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = Writer(tmp_path / "spool" / f"{name}.jsonl")
        entry = {"run": {"experiment": "e", "external_id": name, "attempt": "one"}, "at": 1, "v": 1}
        writer.append(json.dumps(entry).encode() + b"\n")
        writer.close()
    size = 2 * writer.file.stat().st_size
    told, remedy = found(server.url, tmp_path, "spool")
    assert told == f"2 runs; of 2 something waits to be sent, {size} bytes"
    assert "tracker sync" in remedy
    sync(tmp_path, server.url)
    assert found(server.url, tmp_path, "spool") == ("2 runs, and nothing that waits to be sent", "")
    set_aside(writer.file, [b"{}"], "no")
    assert found(server.url, tmp_path, "refused")[0] == "a part of 1 runs"


def test_a_redis_that_answers_is_named_without_its_password(
    valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_REDIS_URL", valkey_url)
    told, remedy = found(NOBODY, tmp_path, "redis")
    assert told.startswith(f"{valkey_url} answers, ")
    assert remedy == ""
    monkeypatch.setenv("TRACKER_REDIS_URL", "redis://me:secr:et@127.0.0.1:1/0")
    told, remedy = found(NOBODY, tmp_path, "redis")
    assert told.startswith("redis://me:***@127.0.0.1:1/0 does not answer (")
    assert remedy.startswith("start it, or unset TRACKER_REDIS_URL")
    assert "TRACKER_REDIS_URL=redis://me:***@127.0.0.1:1/0" in found(NOBODY, tmp_path, "environment")[0]


def test_a_setting_with_which_the_server_will_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [finding for finding in doctor.examine(NOBODY, tmp_path) if finding.what in ("redis", "settings")]
    monkeypatch.setenv("TRACKER_REDIS_URL", "here")
    assert found(NOBODY, tmp_path, "settings")[0].startswith("TRACKER_REDIS_URL is no address of a Redis")
    monkeypatch.setenv("TRACKER_REDIS_URL", "redis://here")
    monkeypatch.setitem(sys.modules, "redis", None)
    assert "pip install 'tracker-workbook[redis]'" in found(NOBODY, tmp_path, "settings")[0]
