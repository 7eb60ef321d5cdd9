"""Messages that could not be stored: looked at, and given another chance."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import DeliveryError, QueueEmpty

from .broker import AWAY, REASON, SECONDS, Broker, decode_batch
from .config import Settings
from .opening import CannotServe

Found = TypeVar("Found")
SHOWN = 200  # characters of a body that nobody can read


def list_dead(settings: Settings, at_most: int) -> list[str]:
    """A line for each: why it is there, and what is in it. Raises CannotServe."""

    async def look(broker: Broker) -> list[str]:
        return [f"{_content(message.body)}: {_reason(message)}" async for message in _each(broker, at_most)]

    return _run(settings, look)


def requeue(settings: Settings, at_most: int) -> int:
    """Gives them another chance; how many. Raises CannotServe."""

    async def move(broker: Broker) -> int:
        moved = 0
        async for message in _each(broker, at_most):
            await broker.publish(broker.points, message.body)
            await message.ack()
            moved += 1
        return moved

    return _run(settings, move)


def count(settings: Settings) -> tuple[int, int]:
    """How many messages wait for a worker, and how many are dead. Raises CannotServe."""

    async def look(broker: Broker) -> tuple[int, int]:
        return await broker.count(broker.points), await broker.count(broker.dead)

    return _run(settings, look)


def _run(settings: Settings, act: Callable[[Broker], Awaitable[Found]]) -> Found:
    async def connected() -> Found:
        broker = Broker.of(settings)
        try:
            return await act(broker)
        finally:
            await broker.close()  # what was not acknowledged is back where it was

    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it says, we say in a sentence
    try:
        return asyncio.run(connected())
    except DeliveryError:
        raise CannotServe("the queue is full: wait until the workers have made room, and try again") from None
    except AWAY as error:
        reason = str(error) or "it does not answer"
        raise CannotServe(f"TRACKER_RABBITMQ_URL cannot be used ({reason}): is RabbitMQ there?") from None


async def _each(broker: Broker, at_most: int) -> AsyncIterator[AbstractIncomingMessage]:
    """Those that are there, oldest first; what is not acknowledged stays. Raises one of AWAY."""
    queue = await broker.queue(broker.dead)
    for _ in range(at_most):
        try:
            yield await queue.get(timeout=SECONDS)
        except QueueEmpty:
            return


def _reason(message: AbstractIncomingMessage) -> str:
    if reason := message.headers.get(REASON):
        return str(reason)
    deaths = message.headers.get("x-death")
    why = deaths[0].get("reason") if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else None
    if why == "delivery_limit":
        return "no worker that took it lived to acknowledge it"
    return str(why or "unknown")


def _content(body: bytes) -> str:
    try:
        batch = decode_batch(body)
    except ValueError:
        return repr(body[:SHOWN])
    keys = sorted({key for key, *_ in batch.points})
    return f"{len(batch.points)} points of run {batch.run_id}: {', '.join(keys[:5])}{' ...' if len(keys) > 5 else ''}"
