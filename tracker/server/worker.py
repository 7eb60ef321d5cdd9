"""`tracker worker`: empties the queue into the database, many messages in one transaction.

    take up to MESSAGES, or what comes within LINGER  ->  store  ->  COMMIT  ->  acknowledge

Dying between the last two is harmless: what was stored comes again, and storing it again changes nothing. While the
database is away, the worker keeps what it holds and tries again. A message whose content cannot be stored goes among
the dead with the reason: `tracker dead list` shows them, `tracker dead requeue` gives them another chance.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from . import store
from .broker import AWAY, REASON, Broker, decode_batch
from .config import Settings
from .db import Database
from .fanout import Fanout
from .opening import log_lines, opened
from .problem import Refusal

MESSAGES = 200  # of one transaction, and as many more are under way to us
POINTS = 50_000  # of one transaction, from which on no further message is taken into it
LINGER = 0.02  # s that the first of a batch waits for others
AGAIN_AFTER = (0.2, 0.5, 1.0, 2.0, 5.0)  # s, when the database or the queue is away
# Errors that are a message's own. All others are the database's: it is away, or read-only after a failover, or has not
# the tables of our version. Then every message would fail, and none of them belongs among the dead.
BLAMED = (DataError, IntegrityError)

log = logging.getLogger("tracker.server.worker")
Messages = Sequence[tuple[AbstractIncomingMessage, store.points.Batch]]


class Worker:
    """One consumer of the queue. There may be several: each message goes to one of them."""

    def __init__(self, database: Database, broker: Broker, fanout: Fanout) -> None:
        self._database, self._broker, self._fanout = database, broker, fanout
        self._stopping = asyncio.Event()
        self._incoming: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._failures = 0  # of the queue, since it last gave us something to do

    def stop(self) -> None:
        """Finishes the batch in hand; what was not stored stays in the queue."""
        self._stopping.set()

    async def run(self) -> None:
        """Works until `stop`."""
        while not self._stopping.is_set():
            try:
                await self._consume()
            except AWAY as error:
                log.warning("the queue does not answer: %s", error or type(error).__name__)
                # What we hold goes back. On a connection that lives, it would be ours for ever, and out of our hands.
                await self._broker.close()
                await self._pause(self._failures)
                self._failures += 1
        await self._broker.close()

    async def _consume(self) -> None:
        """Until the connection breaks, or `stop`. Raises one of AWAY."""
        channel = await self._broker.channel()
        await channel.set_qos(prefetch_count=2 * MESSAGES)
        self._incoming = asyncio.Queue()
        broken: asyncio.Future[Any] = asyncio.ensure_future(channel.closed())
        # When somebody deletes the queue, the channel stays and we are told once.
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda _: broken.cancel())
        await (await self._broker.queue(self._broker.points)).consume(self._incoming.put)
        log.info("waiting for points")
        try:
            while not self._stopping.is_set():
                if messages := await self._batch(broken):
                    await self._work(messages)
                    self._failures = 0
                elif broken.done():
                    raise ConnectionError("the connection has ended")
        finally:
            broken.cancel()

    async def _batch(self, broken: asyncio.Future[Any]) -> list[AbstractIncomingMessage]:
        """The next messages; none if we are to stop, or the connection broke, before there was one."""
        first = asyncio.ensure_future(self._incoming.get())
        stop = asyncio.ensure_future(self._stopping.wait())
        waiting: tuple[asyncio.Future[Any], ...] = (first, stop, broken)
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not first.done():
            first.cancel()
            return []
        messages, size = [first.result()], len(first.result().body)
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while len(messages) < MESSAGES and size < 30 * POINTS:  # a point takes about 30 bytes
                    message = await self._incoming.get()
                    messages.append(message)
                    size += len(message.body)
        return messages

    async def _work(self, messages: Sequence[AbstractIncomingMessage]) -> None:
        """Stores them, all that can be stored, and acknowledges them. Raises one of AWAY."""
        readable: list[tuple[AbstractIncomingMessage, store.points.Batch]] = []
        for message in messages:
            try:
                readable.append((message, decode_batch(message.body)))
            except ValueError as error:
                await self._bury(message, str(error))
        if readable:
            await self._store(readable)

    async def _store(self, messages: Messages) -> None:
        try:
            outcomes = await self._committed([batch for _, batch in messages])
        except BLAMED as error:
            if len(messages) > 1:  # one of them is to blame: each by itself
                for one in messages:
                    await self._store([one])
            else:
                await self._bury(messages[0][0], f"the database refuses it: {error.orig}")
            return
        if outcomes is None:  # we were told to stop while the database was away: the queue keeps them
            return
        for (message, batch), outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, Refusal):  # of a run that was deleted meanwhile, and its points with it
                log.info("left out %d points: %s", len(batch.points), outcome)
            await message.ack()

    async def _committed(self, batches: Sequence[store.points.Batch]) -> Sequence[int | Refusal] | None:
        """What became of each; tried again for as long as the database is away. None: until we were told to stop.

        Raises one of BLAMED.
        """
        tries = 0
        while not self._stopping.is_set() or tries == 0:
            try:
                return await asyncio.to_thread(self._write, batches)
            except BLAMED:
                raise
            except (DBAPIError, PoolTimeout) as error:
                log.warning("the database cannot store anything: %s", getattr(error, "orig", error))
                await self._pause(tries)
                tries += 1
        return None

    def _write(self, batches: Sequence[store.points.Batch]) -> Sequence[int | Refusal]:
        runs = {batch.run_id for batch in batches}
        with ExitStack() as told:
            for run_id in runs:
                told.enter_context(self._fanout.changing(run_id=run_id))
            with self._database.write() as session:
                outcomes = store.points.add_batches(session, batches)
                store.curves.seal_ended(session, runs)
        return outcomes

    async def _bury(self, message: AbstractIncomingMessage, reason: str) -> None:
        """Puts it among the dead; acknowledged only when it is there for good."""
        log.error("a message cannot be stored: %s", reason)
        await self._broker.publish(self._broker.dead, message.body, {REASON: reason[:1000]})
        await message.ack()

    async def _pause(self, tries: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_AFTER[min(tries, len(AGAIN_AFTER) - 1)]):
                await self._stopping.wait()


def work(settings: Settings, *, quiet: bool = False) -> None:
    """A worker, until Ctrl-C or SIGTERM. Raises CannotServe."""
    with opened(settings) as database:
        log_lines(logging.WARNING if quiet else logging.INFO)
        print(f"tracker: from the queue {settings.queue!r} into {database.name}; Ctrl-C ends it", flush=True)
        asyncio.run(_until_told(settings, database))


async def _until_told(settings: Settings, database: Database) -> None:
    fanout = Fanout(settings.redis_url, database, hear=lambda _: None)
    worker = Worker(database, Broker.of(settings), fanout)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    await fanout.start()
    await worker.run()
    await fanout.stop()
