"""The keeper as a process; what it keeps is seen in test_services.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbook.labs.services import Services, kept, lock, read


@pytest.fixture(autouse=True)
def _only_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_POSTGRES", "off")
    monkeypatch.setenv("WORKBOOK_RABBITMQ", "off")


def keeper(folder: Path) -> list[str]:
    return [sys.executable, "-m", "workbook.labs.keeper", str(folder)]


def test_a_folder_has_one(tmp_path: Path) -> None:
    held = lock(tmp_path)
    assert held is not None
    Services(os.getpid()).write(tmp_path)
    ran = subprocess.run(keeper(tmp_path), capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, b"", b"")
    assert read(tmp_path) == Services(os.getpid())
    os.close(held)


@pytest.mark.services
def test_one_that_nobody_listens_to_ends(tmp_path: Path) -> None:
    with subprocess.Popen(keeper(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait() != 0
    assert not kept(tmp_path)
    assert read(tmp_path) is None
