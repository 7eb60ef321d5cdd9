"""A real broker: that it answers whom it should, what it keeps, and that nothing of it is left. It is started once."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aio_pika
import aiormq
import psutil
import pytest
from yarl import URL

from workbook.labs import rabbitmq as module
from workbook.labs.rabbitmq import RabbitMQ
from workbook.labs.server import NoService


class TestMissing:
    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBOOK_RABBITMQ", "off")
        with pytest.raises(NoService, match="RabbitMQ is switched off \\(WORKBOOK_RABBITMQ=off\\)"):
            RabbitMQ()

    def test_no_broker(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(module, "PROGRAM", tmp_path / "rabbitmq-server")
        monkeypatch.setattr(module.shutil, "which", lambda name: sys.executable)
        with pytest.raises(NoService, match="On Debian and Ubuntu: apt install rabbitmq-server"):
            RabbitMQ()

    def test_no_register_of_nodes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "PROGRAM", Path(sys.executable))
        monkeypatch.setattr(module.shutil, "which", lambda name: None)
        with pytest.raises(NoService, match="`epmd` on the PATH"):
            RabbitMQ()


def family(server: RabbitMQ) -> list[psutil.Process]:
    """Guard, broker, register and whatever they have started."""
    guard = psutil.Process(server._guard.pid)
    return [guard, *guard.children(recursive=True)]


async def publish(url: str, queue: str, kind: str, texts: list[str]) -> None:
    """Returns when the broker has confirmed each."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": kind})
        for text in texts:
            message = aio_pika.Message(text.encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, queue)


async def take(url: str, queue: str, many: int) -> list[str]:
    """The first messages, acknowledged."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        declared = await channel.get_queue(queue)
        async with declared.iterator(timeout=20) as messages:
            texts: list[str] = []
            async for message in messages:
                await message.ack()
                texts.append(message.body.decode())
                if len(texts) == many:
                    break
    return texts


class TestARunningBroker:
    def test_it_and_its_register_listen_here_only(self, rabbitmq_server: RabbitMQ) -> None:
        names = {process.name() for process in family(rabbitmq_server)}
        assert {"beam.smp", "epmd"} <= names
        listening = {
            connection.laddr.ip
            for process in family(rabbitmq_server)
            for connection in process.net_connections("inet")
            if connection.status == "LISTEN"
        }
        assert listening <= {"127.0.0.1", "::1"}

    def test_it_wants_its_password(self, rabbitmq_server: RabbitMQ) -> None:
        for user, password in (("guest", "guest"), ("workbook", "guessed")):
            stranger = str(URL(rabbitmq_server.url).with_user(user).with_password(password))
            with pytest.raises(aiormq.exceptions.ProbableAuthenticationError):
                asyncio.run(publish(stranger, "queue", "classic", []))

    def test_what_durable_queues_have_confirmed_outlives_a_kill(
        self, rabbitmq_server: RabbitMQ, queue_prefix: str, wait_until: Callable[..., None]
    ) -> None:
        queues = {kind: queue_prefix + kind for kind in ("quorum", "classic")}
        texts = [str(number) for number in range(20)]
        assert not rabbitmq_server.remembers(queues["quorum"])
        for kind, queue in queues.items():
            asyncio.run(publish(rabbitmq_server.url, queue, kind, texts))
        wait_until(lambda: rabbitmq_server.remembers(queues["quorum"]))
        assert not rabbitmq_server.remembers(queues["quorum"][:-1])
        rabbitmq_server.kill()
        with pytest.raises(ConnectionError):
            asyncio.run(publish(rabbitmq_server.url, queues["quorum"], "quorum", ["lost"]))
        rabbitmq_server.restart()
        for queue in queues.values():
            assert asyncio.run(take(rabbitmq_server.url, queue, len(texts))) == texts


@pytest.mark.services
def test_an_owner_that_is_killed_leaves_neither_broker_nor_register(
    rabbitmq_server: RabbitMQ, wait_until: Callable[..., None]
) -> None:
    """Even one that is killed before the broker answers."""
    code = "from workbook.labs.rabbitmq import RabbitMQ; RabbitMQ._wait = lambda self: None; s = RabbitMQ(); "
    code += "print(s._guard.pid, s._folder, s.pid, flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        pid, folder, _ = owner.stdout.readline().split()
        guard = psutil.Process(int(pid))
        wait_until(lambda: "beam.smp" in {process.name() for process in guard.children(recursive=True)})
        members = [guard, *guard.children(recursive=True)]
        assert {"beam.smp", "epmd"} <= {process.name() for process in members}
        owner.kill()
    wait_until(lambda: not any(map(alive, members)) and not Path(folder).exists(), 60)


def alive(process: psutil.Process) -> bool:
    """What has ended may still wait for somebody to ask how."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
