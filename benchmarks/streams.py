"""Points one by one, while nobody watches and while 200 viewers do: what live events take from ingest.

"Raw" is the same tracker, the same clients and the same runs, without viewers. After each round every viewer must have
been told of the newest version of the curve they watch.
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from .figure import Figure, WrongAnswer
from .rounds import Cost, cost, median, take_turns
from .serving import Connection, Server, serving
from .singles import body, send_all

CLIENTS, VIEWERS = 8, 200  # each client logs to a run of its own, and the viewers are spread over these runs
ROUNDS, POINTS = 5, 150  # points of one client in a round
PATIENCE = 10.0  # s after a round in which all must have been told


class Viewers:
    """Streams of events, all read by one thread: so many threads would measure themselves."""

    def __init__(self, server: Server, runs: list[int], count: int) -> None:
        self._heard: dict[socket.socket, int] = {}  # the newest version
        self._run: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()
        self._ended = False
        host, _, port = server.url.removeprefix("http://").partition(":")
        for number in range(count):
            stream = socket.create_connection((host, int(port)))
            run = runs[number % len(runs)]
            stream.sendall(f"GET /runs/{run}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            self._heard[stream], self._run[stream] = -1, run
            self._selector.register(stream, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wait_for(self, versions: dict[int, int]) -> None:
        """Returns when every viewer has been told of their run's version. Raises WrongAnswer if one is not."""
        deadline = time.monotonic() + PATIENCE
        while any(heard < versions[self._run[stream]] for stream, heard in self._heard.items()):
            if time.monotonic() > deadline:
                raise WrongAnswer("a viewer was not told of the newest points")
            time.sleep(0.01)

    def close(self) -> None:
        """All leave."""
        self._ended = True
        self._thread.join()
        for stream in self._heard:
            stream.close()
        self._selector.close()

    def _read(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select(timeout=0.05):
                stream = key.fileobj
                assert isinstance(stream, socket.socket)
                ids = re.findall(rb"\nid: (\d+)", stream.recv(65_536))
                self._heard[stream] = max([self._heard[stream], *map(int, ids)])


def measure(folder: Path, quick: bool) -> list[Figure]:
    """Points per second, and per second of the server's processor, with viewers beside without."""
    rounds, points, viewers = (1, 5, 10) if quick else (ROUNDS, POINTS, VIEWERS)
    with serving(folder / "server") as server, ExitStack() as stack:
        clients = [stack.enter_context(server.connection()) for _ in range(CLIENTS)]
        runs = [clients[0].new_run() for _ in range(CLIENTS)]
        sent = iter(range(10**9))  # steps go on from round to round

        def ingest(count: int) -> Cost:
            steps = [next(sent) for _ in range(points)]
            with watched(server, runs, count) as audience:
                spent = cost(partial(send, clients, runs, [body(step) for step in steps]), server.cpu_seconds)
                audience.wait_for(dict.fromkeys(runs, steps[-1] + 1))
            return spent

        done = take_turns(
            f"{viewers} viewers", rounds, {"with": partial(ingest, viewers), "without": partial(ingest, 0)}
        )
    what = f"single points, {CLIENTS} clients, {VIEWERS} viewers / no viewers"
    every = CLIENTS * points
    return [
        Figure(what, "points per second", *(median([every / one.wall for one in done[w]]) for w in done)),
        Figure(what, "points per CPU second", *(median([every / one.cpu for one in done[w]]) for w in done)),
    ]


@contextmanager
def watched(server: Server, runs: list[int], count: int) -> Iterator[Viewers]:
    """So many viewers; they have all been told what there was when they came."""
    audience = Viewers(server, runs, count)
    try:
        audience.wait_for(dict.fromkeys(runs, 0))
        yield audience
    finally:
        audience.close()


def send(clients: list[Connection], runs: list[int], bodies: list[bytes]) -> None:
    """Every client sends its points to its run. Raises WrongAnswer where one is refused."""
    ready = threading.Barrier(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as threads:
        paths = [f"/runs/{run}/metrics" for run in runs]
        answers = threads.map(partial(send_all, ready, bodies), clients, paths)
        if not all(answer.is_success for answered in answers for answer in answered):
            raise WrongAnswer("a point was refused")
