"""A Redis that may be away. (Valkey speaks the same language.)

What is in it are copies and counts, without which the tracker does its work more slowly. So nobody waits for it longer
than PATIENCE; and when it has not answered, nobody asks it again until PAUSE is over, and then one asks for all. In
between, to find out that it is away costs nothing. (This is known as a circuit breaker.)

Everything of ours begins with "tracker:", so the server may be shared with other programs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from redis import Redis

PATIENCE = 0.15  # s: what is near answers in a thousandth of that
PAUSE = 1.0  # s in which nobody asks
CONNECTIONS = 45  # one for each thread that answers requests, and a few
Answer = TypeVar("Answer")
log = logging.getLogger("tracker.server")


class Away(Exception):
    """It did not answer, or will not be asked just now."""


class Remote:
    """The Redis at `url`, for many threads at once. Does not connect before it is asked."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ModuleNotFoundError with a sentence where the package is missing."""
        redis = driver()
        self._failures = (redis.RedisError, OSError)
        retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)  # who waits between tries, waits
        self._redis: Redis = redis.Redis.from_url(
            url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=retry, max_connections=CONNECTIONS
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._away = False
        self._until = 0.0  # nobody asks before

    def ask(self, work: Callable[[Redis], Answer]) -> Answer:
        """What the work, one or a few commands, gives. Raises Away."""
        with self._lock:
            now = self._clock()
            if self._away and now < self._until:
                raise Away
            self._until = now + PAUSE  # while it is away, one finds out for all
        try:
            answer = work(self._redis)
        except self._failures as error:
            self._note(away=True, why=str(error))
            raise Away from error
        self._note(away=False)
        return answer

    def _note(self, *, away: bool, why: str = "") -> None:
        with self._lock:
            changed, self._away = away != self._away, away
            if away:
                self._until = self._clock() + PAUSE
        if changed and away:
            log.warning("Redis is away (%s); the database does its work", why)
        elif changed:
            log.warning("Redis is back")

    def close(self) -> None:
        """Closes every connection."""
        self._redis.close()


def driver() -> Any:
    """The package `redis`. Raises ModuleNotFoundError with a sentence on how to get it."""
    try:
        import redis
        import redis.backoff
        import redis.retry
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "TRACKER_REDIS_URL needs the package redis: pip install 'tracker-workbook[redis]'"
        ) from None
    return redis
