"""`workbook lab services` from end to end, with all services that can be had here."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from workbook import cli
from workbook.labs import postgres, rabbitmq, services, valkey
from workbook.labs.server import NoService

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(services, "FOLDER", tmp_path)
    yield tmp_path
    services.down(tmp_path)


def lab(doing: str) -> int:
    return cli.main(["lab", "services", doing])


def test_before_they_are_started(capsys: Said) -> None:
    assert lab("status") == 1
    assert capsys.readouterr().out == "No services run here. They are started by: workbook lab services up\n"
    assert lab("down") == 0
    assert capsys.readouterr().out == "No services run here\n"


def test_where_there_are_none(capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES", "VALKEY", "RABBITMQ"):
        monkeypatch.setenv(f"WORKBOOK_{name}", "off")
    assert lab("up") == 1
    said = capsys.readouterr()
    assert said.err == "workbook: no service could be started\n"
    assert said.out.count("is switched off") == 3


def test_what_cannot_be_ended_yet_says_so(capsys: Said, folder: Path) -> None:
    held = services.lock(folder)
    assert held is not None
    assert lab("down") == 1
    assert capsys.readouterr().err == "workbook: they are only just being started; try again in a moment\n"
    services.Services(1).write(folder)
    assert lab("status") == 1
    assert capsys.readouterr().out == "More are being started\n"
    (folder / "services.json").unlink()
    os.close(held)


@pytest.mark.services
def test_from_up_to_down(
    capsys: Said, folder: Path, monkeypatch: pytest.MonkeyPatch, not_run: Callable[[str], NoReturn]
) -> None:
    try:
        for find in (postgres.find_programs, valkey.find_program, rabbitmq.find_programs):
            find()
    except NoService as missing:
        not_run(str(missing))
    assert lab("up") == 0
    out = capsys.readouterr().out
    assert re.findall(r"^(\w+) answers, after [\d.]+ s$", out, re.MULTILINE) == ["PostgreSQL", "Valkey", "RabbitMQ"]
    exported = dict(re.findall(r"^export (\w+)=(\S+)$", out, re.MULTILINE))
    assert list(exported) == list(services.KINDS)

    assert lab("status") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["PostgreSQL", "Valkey", "RabbitMQ"]
    assert all(f"  {url}\n" in out for url in exported.values())
    assert out.count("  since ") == 3

    running = services.read(folder)
    assert running
    for service in running.started[1:]:
        os.kill(service.pid, signal.SIGKILL)
    assert lab("status") == 0
    out = capsys.readouterr().out
    assert re.findall(r"^(\w+) {2,}does not answer", out, re.MULTILINE) == ["Valkey", "RabbitMQ"]
    assert out.endswith("was killed, or stopped. All anew: workbook lab services down, and up\n")

    assert lab("down") == 0
    assert capsys.readouterr().out == "Ended, and what they kept is gone: PostgreSQL, Valkey, RabbitMQ\n"
    assert lab("status") == 1


def test_a_keeper_that_was_killed_is_missed(capsys: Said, folder: Path) -> None:
    services.Services(1, True).write(folder)
    assert lab("status") == 1
    assert capsys.readouterr().out.startswith("The services that ran here were killed, with what they kept.")
    assert lab("down") == 0
    assert capsys.readouterr().out == "No services run here\n"
    assert lab("status") == 1
