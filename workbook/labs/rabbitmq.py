"""A private RabbitMQ (see `server` for what all private servers can do).

    with RabbitMQ() as server:
        pika.BlockingConnection(pika.URLParameters(server.url))

The programs are the operating system's: no Python package has them. What a durable queue has confirmed outlives `kill`
and `restart`, once the queue is a second old: see `remembers`. A start takes seconds, so share one.

Erlang keeps, besides the broker, a register of the nodes of a computer (epmd); left to itself the broker would start
one in the background that stays for ever, so we run our own, on a port of its own. All of it listens on 127.0.0.1.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from .guard import Plan
from .server import NoService, Server, free_port, replies

# What /usr/sbin has under this name insists on a user of its own.
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER = "workbook"
HELLO = b"AMQP\x00\x00\x09\x01"  # a client's first words: the protocol's version, 0-9-1
METHOD = b"\x01"  # a broker that is ready answers with a frame of this kind, one that speaks another version does not


class RabbitMQ(Server):
    """A running broker, with a password of its own. `url` begins with amqp://. Raises NoService."""

    title = "RabbitMQ"
    switch = "WORKBOOK_RABBITMQ"
    start_seconds = 120.0

    @classmethod
    def answers_at(cls, url: str) -> bool:
        return replies(url, HELLO, METHOD)

    def remembers(self, queue: str) -> bool:
        """Whether a quorum queue will be there after a kill. A new one is written down within a second; until then it
        is lost with all that it has confirmed (seen with RabbitMQ 3.10.8)."""
        registers = self._folder.glob("data/*/quorum/*/names.dets")
        name = f"%2F_{queue}m\0\0\0".encode()  # a binary follows (m), not the rest of a longer name
        return any(name in register.read_bytes() for register in registers)

    def _find(self) -> None:
        self._program, self._register = find_programs()

    def _plan(self) -> Plan:
        self._port, self._register_port, self._node_port = free_port(), free_port(), free_port()
        password = secrets.token_hex()
        self.url = f"amqp://{USER}:{password}@127.0.0.1:{self._port}/"
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self._port}",
            "default_user": USER,
            "default_pass": password,
            "log.console": "true",  # where we can read it when it does not start
            "log.file": "false",
        }
        self._file("rabbitmq.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
        self._file("plugins", "[].")  # the one for management takes five seconds to end
        self._file("environment", "")  # not the operating system's
        register = [str(self._register), "-port", str(self._register_port), "-address", "127.0.0.1"]
        return {"prepare": [], "beside": [register], "serve": [str(self._program)], "stop": self.stop}

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            "HOME": str(folder),  # where Erlang keeps the secret that its nodes share
            "RABBITMQ_NODENAME": f"workbook{self._port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "ERL_EPMD_PORT": str(self._register_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # The script becomes the broker instead of waiting for it as a shell, so that a signal reaches the broker.
            "RABBITMQ_ALLOW_INPUT": "yes",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
            # A broker whose folder is gone must not leave a memory of its crash where it was started.
            "ERL_CRASH_DUMP": str(folder / "crash"),
        }

    def _file(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text)


def find_programs() -> tuple[Path, Path]:
    """The broker, and Erlang's register of nodes. Raises NoService."""
    register = shutil.which("epmd")
    if register and os.access(PROGRAM, os.X_OK):
        return PROGRAM, Path(register)
    raise NoService(
        f"There is no RabbitMQ here: it takes {PROGRAM}, and `epmd` on the PATH. "
        "On Debian and Ubuntu: apt install rabbitmq-server"
    )
