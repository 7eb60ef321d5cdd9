"""Trackers in processes of their own, as people run them."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SERVE = [sys.executable, "-m", "tracker", "serve", "--quiet"]


Serve = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server process, waits until it answers, and gives its address; all are killed in the end."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, port: int, **environment: str) -> tuple[subprocess.Popen[str], str]:
        command = [*SERVE, "--dir", str(folder), "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
        started.append(process)
        assert process.stdout
        found = re.search(r"(http://\S+)/ui/", process.stdout.readline())
        assert found
        return process, found[1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run_tracker() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command `tracker` to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tracker", *arguments]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)

    return run


Environment = dict[str, str]


@pytest.fixture
def on_postgres(postgres_tables: str) -> Environment:
    """What makes `tracker serve` one of several servers of one PostgreSQL."""
    return {"TRACKER_DATABASE_URL": postgres_tables, "TRACKER_AUTH": "open"}


@pytest.fixture
def on_queue(on_postgres: Environment, rabbitmq_url: str, queue_prefix: str) -> Environment:
    """The same with a queue before the database."""
    return on_postgres | {"TRACKER_RABBITMQ_URL": rabbitmq_url, "TRACKER_QUEUE": queue_prefix}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a worker process; all are killed in the end. With `code`, it is run before the worker, in its process."""
    started: list[subprocess.Popen[str]] = []

    def start(environment: Environment, code: str = "") -> subprocess.Popen[str]:
        run = f"{code}\nimport sys; from tracker.cli import main; sys.exit(main(['worker']))"
        log = (tmp_path / f"worker-{len(started)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-c", run],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"TRACKER_DIR": str(tmp_path)} | environment,
        )
        log.close()
        started.append(process)
        assert process.stdout
        assert process.stdout.readline().startswith("tracker: from the queue")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Proxy:
    """A network between clients and whichever of the ports answers first; it can be cut.

    As TCP has it, what is sent into a cut that leaves the connections alone is not lost: it arrives when the cut is
    over.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._passing = threading.Event()
        self._passing.set()
        self._broken = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.port: int = self._listener.getsockname()[1]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile, connections stay, and nothing passes."""
        self._passing.clear()
        try:
            yield
        finally:
            self._passing.set()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Connections break, and so do new ones meanwhile."""
        self._broken = True
        self._hang_up()
        try:
            yield
        finally:
            self._broken = False

    def close(self) -> None:
        """Ends every connection and every thread."""
        self._broken = True
        self._hang_up()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept()
        self._listener.close()
        for thread in self._threads:
            thread.join()
        self._hang_up()
        for connection in self._sockets:
            connection.close()

    def _hang_up(self) -> None:
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = None if self._broken else self._connect()
            if server is None:
                client.close()
                continue
            self._sockets += [client, server]
            for one, other in ((client, server), (server, client)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._pass_on, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _connect(self) -> socket.socket | None:
        for port in self._ports:
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", port))
        return None

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                self._passing.wait()
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy() -> Iterator[Callable[..., Proxy]]:
    """Opens networks to ports; all are closed in the end."""
    opened: list[Proxy] = []

    def begin(*ports: int) -> Proxy:
        opened.append(Proxy(*ports))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()
