"""Lists that were read a moment ago, kept in Redis for the next who asks: the text of the answer, under a key.

    tracker:list:<hash of question and generations> -> digest, text        for LIFE seconds
    tracker:generation:<experiment>, :all           -> a token             a new one with every change

Nothing is ever deleted because it has become wrong. The key holds the **generation** of what was asked about (of
each experiment, or of all there are), and whoever changes something gives it a new one *after* the commit and
*before* the answer. So who asks after that answer asks under a key that nobody has filled from the time before;
and what somebody slow still writes under an old key, nobody will read.

Why tokens in Redis, and not a version in the database? To ask the database for a version costs each reader a statement,
and a row that every batch of an experiment must raise is a queue for its writers. Why tokens and not a counter? A
counter that Redis has thrown out begins again, and meets the lists of its first life.

What can go wrong. *Redis does not answer a reader*: the database does. *Nor a writer*: this process owes the new
generation, and reads nothing from the cache before it is paid; other replicas may show what was there before the
change, for LIFE seconds at most, and so they may when a process dies between commit and token. *Something else is in
it*: a text whose digest is wrong does not count. A run's `lost` follows the clock and no change: it may come LIFE late.

Of many who miss the same key at once, one reads the database and the others take its answer (single flight). That is
done in this process: with each replica reading once, the database sees as many statements as there are replicas,
and a lock in Redis would be one more thing that dies while somebody holds it.

Whoever asks has been let in before (routes check, handlers read). Where the answer depends on who asks, that belongs
into the question.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .remote import Away, Remote

if TYPE_CHECKING:
    from redis import Redis

LIFE = 5  # s that a list is kept
GENERATION_LIFE = 3600  # s, after which the next reader makes a new one: longer than any list lives
LARGEST = 1 << 20  # bytes of a list that is kept: to send more takes longer than Redis is waited for
DIGEST = 16  # bytes
ALL = "all"


class Flights:
    """What is being read just now, by whom of many threads. Keeps nothing once it is read."""

    def __init__(self) -> None:
        self._open: dict[str, Future[bytes]] = {}
        self._lock = threading.Lock()

    def share(self, key: str, read: Callable[[], bytes]) -> bytes:
        """What `read` gives or raises. Of all who ask for a key at once, one calls it for all."""
        with self._lock:
            mine = key not in self._open
            flight = self._open.setdefault(key, Future())
        if not mine:
            return flight.result()
        try:
            flight.set_result(read())
        except BaseException as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._open[key]
        return flight.result()


class Cache:
    """The lists of one process. `read` and `changed` are called by many threads at once."""

    def __init__(self, remote: Remote | None) -> None:
        """Without a remote, everything is read where it is."""
        self._remote = remote
        self._flights = Flights()
        self._owed: dict[int, object] = {}  # experiment -> a mark of its newest change, until its generation is new
        self._lock = threading.Lock()  # of what is owed
        self._paying = threading.Lock()

    def read(
        self, question: Mapping[str, Any], experiments: Callable[[], Iterable[int]], make: Callable[[], bytes]
    ) -> bytes:
        """The answer to the question, which is about these experiments (none: about all there are): the one that is
        kept, else what `make` reads. Raises what that raises."""
        key = self._key(question, experiments)
        if key is None:
            return make()
        return self._flights.share(key, lambda: self._kept_or_made(key, make))

    def changed(self, experiment: int) -> None:
        """Something about the experiment was committed: whoever asks from now on is not told what was before."""
        if self._remote is None:
            return
        with self._lock:
            mark = self._owed[experiment] = object()
        with suppress(Away):  # it stays owed
            self._pay(self._remote, lambda: self._owed.get(experiment) is mark)

    def _key(self, question: Mapping[str, Any], experiments: Callable[[], Iterable[int]]) -> str | None:
        """None: the cache is of no use just now."""
        if self._remote is None:
            return None
        names = [f"tracker:generation:{about}" for about in (sorted(set(experiments())) or (ALL,))]
        try:
            self._pay(self._remote, lambda: bool(self._owed))
            generations = self._remote.ask(lambda redis: _generations(redis, names))
        except Away:
            return None
        if None in generations:
            return None
        told = json.dumps(question, sort_keys=True, default=str).encode()
        return f"tracker:list:{hashlib.sha256(told + repr(generations).encode()).hexdigest()}"

    def _kept_or_made(self, key: str, make: Callable[[], bytes]) -> bytes:
        assert self._remote is not None
        try:
            kept = self._remote.ask(lambda redis: redis.get(key))
        except Away:
            return make()
        if isinstance(kept, bytes) and kept[:DIGEST] == _digest(key, kept[DIGEST:]):
            return kept[DIGEST:]
        made = make()
        if len(made) <= LARGEST:
            with suppress(Away):
                self._remote.ask(lambda redis: redis.set(key, _digest(key, made) + made, ex=LIFE))
        return made

    def _pay(self, remote: Remote, is_owed: Callable[[], bool]) -> None:
        """Gives a new generation to all that is owed one, unless it turns out that somebody else has just done so.
        Raises Away."""
        if not is_owed():
            return
        with self._paying:  # who waits here for somebody who pays, may find it paid
            if not is_owed():
                return
            with self._lock:
                owed = dict(self._owed)
            token = uuid.uuid4().hex

            def pay(redis: Redis) -> None:
                with redis.pipeline(transaction=False) as pipe:
                    for about in (ALL, *owed):
                        pipe.set(f"tracker:generation:{about}", token, ex=GENERATION_LIFE)
                    pipe.execute()

            remote.ask(pay)
            with self._lock:  # what changed again meanwhile is owed again
                self._owed = {about: mark for about, mark in self._owed.items() if owed.get(about) is not mark}


def _generations(redis: Redis, names: list[str]) -> list[Any]:
    """The token of each; those that have none are given one, which all replicas then share."""
    found: Any = redis.mget(names)
    missing = [name for name, token in zip(names, found, strict=True) if token is None]
    if missing:
        with redis.pipeline(transaction=False) as pipe:
            for name in missing:
                pipe.set(name, uuid.uuid4().hex, ex=GENERATION_LIFE, nx=True)
            pipe.execute()
        found = redis.mget(names)
    return list(found)


def _digest(key: str, text: bytes) -> bytes:
    return hashlib.blake2b(text, key=key.encode()[-64:], digest_size=DIGEST).digest()
