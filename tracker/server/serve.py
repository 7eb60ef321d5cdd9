"""One process that has a folder, listens at a port and answers, until it is told to end."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from contextlib import suppress
from pathlib import Path

import uvicorn

from .app import create_app
from .config import PORT, PORTS
from .opening import CannotServe, claimed, log_lines, opened, settings_for

KEEP_ALIVE = 75  # s that an idle connection stays open: a client that only says that it lives does so every 15 s
GRACE = 5  # s that answers under way are waited for at the end


def serve(
    folder: Path, host: str, port: int | None, *, fd: int | None = None, about: str = "", quiet: bool = False
) -> None:
    """Answers at `port` (None: the first free one from PORT on), or at the listening socket with the number `fd`, until
    Ctrl-C or SIGTERM. Raises CannotServe."""
    settings = settings_for(folder)
    with claimed(settings) as claim, opened(settings) as database:
        listener = listen(host, port) if fd is None else inherited(fd)
        address = f"http://{host}:{listener.getsockname()[1]}"
        if port is None and fd is None and not address.endswith(f":{PORT}"):
            print(f"tracker: port {PORT} is busy, so this one is another")
        app = create_app(settings, database, about)
        log_lines(logging.WARNING if quiet else logging.INFO)
        gc.collect()
        gc.freeze()  # what is there now stays, and need not be looked at ever again
        gc.set_threshold(50_000)  # a batch makes thousands of tuples, and none of them is in a circle

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if claim:
                    claim.announce(address)
                place = settings.folder if claim else database.name
                print(f"tracker: {address}/ui/  (data in {place}; Ctrl-C ends it)", flush=True)

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                app.state.live.close()  # uvicorn waits for answers under way, and these would never end
                await super().shutdown(sockets)

        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE, timeout_keep_alive=KEEP_ALIVE
        )
        # After its own graceful end, uvicorn sends itself the signal that it was sent.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            Server(config).run([listener])


def listen(host: str, port: int | None) -> socket.socket:
    """A socket at `port`, or at the first free one from PORT on. Raises CannotServe."""
    if port is not None and not 0 <= port <= 65_535:
        raise CannotServe(f"a port is a number from 0 to 65535, not {port}: name another with --port")
    for candidate in range(PORT, PORT + PORTS) if port is None else (port,):
        try:
            listener = socket.create_server((host, candidate), backlog=2048)
        except OSError as error:
            reason = error.strerror
        else:
            # Without this, the second half of an answer waits until the client has acknowledged the first, which it
            # does after 40 ms. (asyncio does it for a socket that it has made itself.)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener
    where = f"port {port}" if port is not None else f"any port from {PORT} to {PORT + PORTS - 1}"
    raise CannotServe(f"cannot listen at {host} on {where} ({reason}): name another with --port")


def inherited(fd: int) -> socket.socket:
    """The socket of whoever started this process: nobody can take its port in between. Raises CannotServe."""
    try:
        listener = socket.socket(fileno=fd)
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.detach()
            raise CannotServe(f"the socket --fd {fd} does not listen")
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, ValueError) as error:
        raise CannotServe(f"--fd {fd} is no socket that this process was given ({error})") from None
    return listener
