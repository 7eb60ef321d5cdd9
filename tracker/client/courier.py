"""The thread that sends a run's spool while its training goes on."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

from .http import Api, NotAllowed, Refused, Unanswered, pauses
from .sender import Sender
from .spool import Spool

INTERVAL = 0.2  # s between two looks at the spool: what gathered meanwhile travels together
HEARTBEAT = 15.0  # s; the server calls a run lost after a minute of silence


class Courier:
    """Sends one spool; `resumed` is told how far the server is, as in `Sender`."""

    def __init__(self, spool: Spool, api: Api, resumed: Callable[[int], None]) -> None:
        self._spool, self._api = spool, api
        self._sender = Sender(spool.file, api, live=True, resumed=resumed)
        self._warned = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"tracker {spool.file.stem}", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Waits until the server has all of it; False if that takes longer, and the thread goes on alone."""
        self._closing.set()
        self._thread.join(seconds)
        if self._thread.is_alive() or self._spool.unsent:
            return False
        self._spool.close()
        return True

    def _work(self) -> None:
        try:
            self._wait_and_send()
        finally:
            self._api.close()  # here, since nobody may be waiting any longer

    def _wait_and_send(self) -> None:
        while True:
            with self._spool.sending() as allowed:
                if allowed:
                    self._send()
                    return
            # Another process sends this spool, and finds our lines in it; should it stop, it is our turn.
            if self._closing.wait(INTERVAL):
                return

    def _send(self) -> None:
        pause, heard = pauses(), time.monotonic()
        while True:
            closing = self._closing.is_set()
            try:
                while self._sender.forward(self._spool):
                    pause, heard = pauses(), time.monotonic()
                if time.monotonic() - heard > HEARTBEAT:
                    heard = time.monotonic()
                    with suppress(Refused):  # a deleted run: its next points will say so
                        self._sender.heartbeat()
            except NotAllowed as refusal:
                if not self._warned:
                    self._warned = True
                    warnings.warn(f"tracker: nothing is sent for now: {refusal}", stacklevel=2)
                if closing:  # nobody mends a key in these last seconds
                    return
                self._closing.wait(next(pause))
            except (Unanswered, OSError) as failure:  # an OSError is of our own disk: the cursor could not be kept
                seconds = max(next(pause), getattr(failure, "retry_after", 0.0))
                if closing:
                    time.sleep(seconds)
                elif self._closing.wait(seconds):
                    pause = pauses()  # the end is worth an attempt at once
            else:
                if closing:
                    return
                self._closing.wait(INTERVAL)
