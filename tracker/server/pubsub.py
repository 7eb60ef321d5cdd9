"""What one replica stores, the viewers of another hear of at once: by a message in Redis, `tracker:run:<id>`.

A message says that a run has changed and nothing else. It is never needed: `live` looks for changes anyway, and hears
by it only that it need not wait for the next look. So it is sent on the side, may be lost, and is dropped where Redis
is slow. Every replica hears of all runs: to have Redis know which ones it wants would be two more messages per viewer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .remote import driver

CHANNEL = "tracker:run:"
PAUSE = 1.0  # s between two tries to reach Redis again
PATIENCE = 1.0  # s that a message may take
SILENCE = 10.0  # s without a word from Redis, after which it is asked whether it is there
AT_MOST = 1000  # runs whose messages wait
GAP = 0.02  # s between two times of sending: what happens to a run in between is one message
log = logging.getLogger("tracker.server")


class PubSub:
    """Both directions. `hear` is called, in the event loop, with the id of each run that has changed."""

    def __init__(self, url: str, hear: Callable[[int], None]) -> None:
        """Raises ModuleNotFoundError where the package is missing."""
        driver()
        self._url = url
        self._hear = hear
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsent: set[int] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def publish(self, run_id: int) -> None:
        """The run has changed. Called by any thread; returns at once, whatever becomes of the message."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._put, run_id)

    async def start(self) -> None:
        """Begins to listen, and to send."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._keep_on(way)) for way in (self._listen, self._send)]

    async def stop(self) -> None:
        """Ends both."""
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _put(self, run_id: int) -> None:
        if len(self._unsent) < AT_MOST:
            self._unsent.add(run_id)
            self._wake.set()

    async def _keep_on(self, way: Callable[[Any], Any]) -> None:
        """Goes this way until it fails, and then again."""
        redis = driver()
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        once = Retry(NoBackoff(), 0)  # this loop tries again
        while True:
            # No time limit for an answer: who listens waits. `get_message` and `wait_for` have limits of their own.
            connection = Redis.from_url(self._url, socket_connect_timeout=PATIENCE, socket_timeout=None, retry=once)
            try:
                await way(connection)
            except Exception as error:  # whatever it is, viewers look for themselves, and this tries again
                log.debug("no messages between the replicas: %s", error)
                await asyncio.sleep(PAUSE)
            finally:
                with suppress(redis.RedisError, OSError):
                    await connection.aclose()

    async def _listen(self, redis: Any) -> None:
        async with redis.pubsub() as messages:
            await messages.psubscribe(f"{CHANNEL}*")
            while True:
                message = await messages.get_message(timeout=SILENCE)
                if message is None:
                    await messages.ping()
                    if await messages.get_message(timeout=PATIENCE) is None:  # a pong, or something better
                        raise TimeoutError("Redis is silent")
                elif message["type"] == "pmessage":
                    run_id = message["channel"].decode(errors="replace").removeprefix(CHANNEL)
                    if run_id.isdecimal():
                        self._hear(int(run_id))

    async def _send(self, redis: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            unsent, self._unsent = self._unsent, set()
            async with redis.pipeline(transaction=False) as pipe:
                for run_id in unsent:
                    pipe.publish(f"{CHANNEL}{run_id}", b"")
                await asyncio.wait_for(pipe.execute(), PATIENCE)
            await asyncio.sleep(GAP)
