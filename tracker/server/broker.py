"""The queue between the servers and the database, for bursts and for the hours in which the database is away.

    server --publish, confirm--> [points] --a batch of messages--> worker --commit, then ack--> PostgreSQL
                                    |  refused by the worker, or returned LIMIT times
                                    v
                                 [points.dead]

A message is one request's points. A server says 202 only once RabbitMQ has confirmed it: written to the disk by most
of the queue's members. A worker acknowledges only once the database has committed. So a message is delivered at least
once, and that it may come twice or out of order is harmless: `store.points` says why.

The queue is bounded. When it is full, RabbitMQ refuses what comes, the server says 503 with Retry-After, and the points
wait where there is most room: in the spools of the clients.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import AMQPException, ChannelPreconditionFailed, DeliveryError, PublishError
from pydantic_core import from_json, to_json

from tracker.values import decode

from . import store
from .config import Settings
from .db import Database
from .ingest import WayIn
from .known import Known
from .problem import Unavailable

VERSION = 1  # of a message
LIMIT = 20  # deliveries of a message that nobody acknowledged; each worker that ends with it in its hands counts
SECONDS = 5.0  # for RabbitMQ to connect, or to confirm
AWAY = (AMQPException, OSError, RuntimeError)  # what aio-pika raises when it is; an OSError may be a TimeoutError
log = logging.getLogger("tracker.server.broker")
REASON = "x-tracker-reason"  # why a worker has put a message among the dead


def encode(batch: store.points.Batch) -> bytes:
    """The body of a message."""
    columns = list(zip(*batch.points, strict=True)) or [(), (), (), ()]
    return to_json([VERSION, batch.run_id, batch.at, *columns], inf_nan_mode="strings")


def decode_batch(body: bytes) -> store.points.Batch:
    """What `encode` was given. Raises ValueError, with the reason."""
    try:
        version, run_id, at, *columns = from_json(body)
        keys, steps, values, times = columns
        points = list(zip(keys, steps, map(decode, values), times, strict=True))
        whole = [run_id, at, *steps, *times]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"no points can be read from it: {error}") from None
    if version != VERSION:
        raise ValueError(f"it is of version {version}, and this worker knows {VERSION}")
    if not all(type(n) is int and 0 <= n < 2**63 for n in whole) or not all(type(key) is str for key in keys):
        raise ValueError("its points are none: a point is a key, a step, a value and a time")
    return store.points.Batch(run_id, points, at)


class Broker:
    """A connection to RabbitMQ, made when it is needed and made again when it broke."""

    def __init__(self, url: str, prefix: str, length: int) -> None:
        self._url, self._prefix, self._length = url, prefix, length
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._making = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one that the settings name."""
        return cls(settings.rabbitmq_url, settings.queue, settings.queue_length)

    @property
    def points(self) -> str:
        """The name of the queue."""
        return f"{self._prefix}.points"

    @property
    def dead(self) -> str:
        """The name of the queue of those that could not be stored."""
        return f"{self._prefix}.points.dead"

    async def channel(self) -> AbstractChannel:
        """An open channel, on which what is published is confirmed. Raises one of AWAY."""
        async with self._making:
            if self._channel is None or self._channel.is_closed:
                await self.close()
                async with asyncio.timeout(SECONDS):
                    self._connection = await aio_pika.connect(self._url)
                    self._channel = await self._declared(self._connection)
            return self._channel

    async def _declared(self, connection: AbstractConnection) -> AbstractChannel:
        """A channel, when both queues are there."""
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        try:
            await self._declare(channel)
        except ChannelPreconditionFailed:  # somebody has made them with other bounds, which a queue keeps for life
            log.warning("the queue %s has other bounds than ours: delete it when it is empty", self.points)
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            for name in (self.points, self.dead):
                await channel.declare_queue(name, passive=True)
        return channel

    async def _declare(self, channel: AbstractChannel) -> None:
        quorum: dict[str, Any] = {"x-queue-type": "quorum"}  # on the disks of most members before it is confirmed
        await channel.declare_queue(self.dead, durable=True, arguments=quorum)
        bounds = {
            "x-max-length": self._length,
            "x-overflow": "reject-publish",  # the newest is refused, and its client told; nothing is dropped
            "x-delivery-limit": LIMIT,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead,
            "x-dead-letter-strategy": "at-least-once",
        }
        await channel.declare_queue(self.points, durable=True, arguments=quorum | bounds)

    async def queue(self, name: str) -> AbstractQueue:
        """One of the two. Raises one of AWAY."""
        return await (await self.channel()).get_queue(name, ensure=False)

    async def count(self, name: str) -> int:
        """How many messages are in it that nobody has taken. Raises one of AWAY."""
        queue = await (await self.channel()).declare_queue(name, passive=True)
        return queue.declaration_result.message_count or 0

    async def publish(self, name: str, body: bytes, headers: dict[str, Any] | None = None) -> None:
        """Returns when RabbitMQ has it for good. Raises one of AWAY, and DeliveryError when the queue is full."""
        message = aio_pika.Message(body, headers=headers, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        exchange = (await self.channel()).default_exchange
        async with asyncio.timeout(SECONDS):
            try:
                await exchange.publish(message, routing_key=name, mandatory=True)
            except PublishError:  # returned: somebody has deleted the queue
                self._channel = None  # the next one declares it again
                raise ConnectionError(f"there is no queue {name}") from None

    async def close(self) -> None:
        """Gives back what this process holds of the queue."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(*AWAY):
                async with asyncio.timeout(SECONDS):
                    await connection.close()


class Publisher(WayIn):
    """The way into the queue, for the threads that run the routes."""

    stores = False

    def __init__(self, database: Database, broker: Broker) -> None:
        self._known = Known(database)
        self._broker = broker
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """To be called in the loop that the connection is to live in."""
        self._loop = asyncio.get_running_loop()
        self._declaring = asyncio.create_task(self._declare())

    async def _declare(self) -> None:
        """A new queue is forgotten by a broker that dies within its first second: it is to be older than any point."""
        with suppress(*AWAY):  # then the first point does it
            await self._broker.channel()

    async def stop(self) -> None:
        """Closes the connection."""
        self._declaring.cancel()
        await asyncio.wait([self._declaring])
        await self._broker.close()

    def add(self, run_id: int, points: list[store.points.Row], *, at: int) -> int:
        """Queues the points and returns when RabbitMQ has them for good; how many.

        Raises NotFound, TooManyPoints and Unavailable.
        """
        store.points.check_size(points)
        self._known.check(run_id)
        assert self._loop is not None
        body = encode(store.points.Batch(run_id, points, at))
        confirmed: Future[None] = asyncio.run_coroutine_threadsafe(
            self._broker.publish(self._broker.points, body), self._loop
        )
        try:
            confirmed.result(3 * SECONDS)
        except DeliveryError:
            raise Unavailable("the queue is full: keep the points, and send them again later") from None
        except AWAY:
            raise Unavailable("the queue did not answer: keep the points, and send them again later") from None
        return len(points)
