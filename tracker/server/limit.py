"""How many requests a caller may make: a token bucket for each.

A **bucket** holds at most BURST times `rate` tokens, gains `rate` of them a second, and gives one to each request; a
request that finds less than one is told how many seconds that will take. So a caller that was silent may come with
many at once, and in the long run comes `rate` times a second.

A **caller** is the key with which the request was let in (`request.state.caller`), or else the address it is from.

With a Redis, all replicas share the buckets: what is left in one is read, filled and written by a script, which Redis
runs without anything else in between, and by Redis's clock, since those of the replicas differ. While it is away each
replica has buckets of its own, so a caller may have as many as there are replicas: we would rather let too much pass
than nothing.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import Request

from .problem import TooManyRequests
from .remote import Away, Remote

if TYPE_CHECKING:
    from redis import Redis

BURST = 2.0  # seconds' worth of tokens
AT_MOST = 10_000  # buckets of a process; those that are full need not be remembered
FREE = {"/healthz", "/readyz", "/metrics", "/"}  # asked by machines that must not be refused
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local rate, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or most, tonumber(kept[2]) or now
tokens = math.min(most, tokens + math.max(0, now - at) * rate)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * most / rate))
return string.format('%.6f', wait)
"""


def _name(request: Request) -> str:
    known = getattr(request.state, "caller", None)
    if known is not None and known.key_id is not None:
        return f"key {known.key_id}"
    return request.client.host if request.client else ""


class Limit:
    """Everybody's buckets."""

    def __init__(self, rate: float | None, remote: Remote | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Tokens per second; None: there is no limit."""
        self._rate = rate or 0.0
        self._most = max(1.0, BURST * self._rate)
        self._remote = remote
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # caller -> tokens, at
        self._lock = threading.Lock()
        self._script: Any = None

    async def check(self, request: Request) -> None:
        """Takes a token for the request. Raises TooManyRequests where there is none."""
        if not self._rate or getattr(request.scope.get("route"), "path", "") in FREE:
            return
        caller = _name(request)
        if self._remote is None:
            wait = self.take(caller)
        else:
            wait = await asyncio.to_thread(self.take_shared, caller)  # the event loop must not wait for Redis
        if wait > 0:
            raise TooManyRequests(self._rate, math.ceil(wait))

    def take_shared(self, caller: str) -> float:
        """Like `take`, from the bucket of all replicas; from our own while Redis is away."""
        assert self._remote is not None
        try:
            return float(self._remote.ask(lambda redis: self._run(redis, caller)))
        except (Away, ValueError):
            return self.take(caller)

    def take(self, caller: str) -> float:
        """Takes a token from the caller's bucket in this process; the seconds until there will be one (0: taken)."""
        with self._lock:
            now = self._clock()
            tokens, at = self._buckets.get(caller, (self._most, now))
            tokens = min(self._most, tokens + (now - at) * self._rate)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
            self._buckets[caller] = (tokens if wait else tokens - 1, now)
            if len(self._buckets) > AT_MOST:
                self._forget(now)
        return wait

    def _run(self, redis: Redis, caller: str) -> Any:
        self._script = self._script or redis.register_script(SCRIPT)  # sent once, and then named by its hash
        return self._script([f"tracker:bucket:{caller}"], [self._rate, self._most], client=redis)

    def _forget(self, now: float) -> None:
        """The full buckets; and where most are not, the older half."""
        kept = {c: (t, at) for c, (t, at) in self._buckets.items() if t + (now - at) * self._rate < self._most}
        newest = sorted(kept.items(), key=lambda bucket: bucket[1][1])[-AT_MOST // 2 :]
        self._buckets = dict(newest)
