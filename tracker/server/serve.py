"""One process that has a folder, listens at a port and answers, until it is told to end."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import uvicorn

from . import store
from .app import create_app
from .config import PORT, PORTS, Settings
from .db import Database
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
        settings = replace(settings, host=listener.getsockname()[0])
        everywhere = settings.host in ("0.0.0.0", "::")  # no address that anybody could ask
        address = f"http://{'127.0.0.1' if everywhere else host}:{listener.getsockname()[1]}"
        admin = _admin(settings, database)
        if port is None and fd is None and not address.endswith(f":{PORT}"):
            print(f"tracker: port {PORT} is busy, so this one is another")
        try:
            app = create_app(settings, database, about)
        except OSError as error:
            raise CannotServe(f"the secret of the sessions cannot be kept: {error}") from None
        except ModuleNotFoundError as missing:
            raise CannotServe(str(missing)) from None
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
                # Only for whoever sits at this machine: elsewhere, what a server prints is kept and read by others.
                ticket = f"?ticket={app.state.gate.sessions.ticket(admin)}" if admin and settings.local else ""
                print(f"tracker: {address}/ui/{ticket}  (data in {place}; Ctrl-C ends it)", flush=True)

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


def _admin(settings: Settings, database: Database) -> int | None:
    """The key with which whoever starts a server may sign in; None where none is needed. Raises CannotServe."""
    if not settings.keys_needed:
        if not settings.local:
            print(f"tracker: TRACKER_AUTH is open: whoever reaches {settings.host} may read and change everything")
        return None
    with database.read() as session:
        admin = store.keys.first_admin(session)
    if admin is None:
        why = "TRACKER_AUTH says so" if settings.auth else "others can reach it, or its database"
        raise CannotServe(
            f"this server needs keys ({why}), and there is none that may admin: make the first with "
            f"`tracker key create NAME --dir {settings.folder}`, or say TRACKER_AUTH=open if whoever reaches it may do "
            "everything"
        )
    return admin


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
