"""How readers hear of what writers commit: lists that were kept are no longer read, and viewers look at once.

Without TRACKER_REDIS_URL there is nothing to do: lists are read from the database, and viewers look twice a second.
With it, whoever changes something says so around its transaction:

    with fanout.changing(run_id=7):
        ...                              # the transaction; at the end of the block it is committed
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from . import store
from .cache import Cache
from .db import Database
from .problem import Refusal
from .pubsub import PubSub
from .remote import Remote

KNOWN = 100_000  # runs whose experiment is remembered: a run never changes it


class Fanout:
    """The ways to the readers of this process and of its replicas. `hear` is told which runs have changed."""

    def __init__(self, redis_url: str, database: Database, hear: Callable[[int], None]) -> None:
        """An empty url: no Redis."""
        self.remote = Remote(redis_url) if redis_url else None
        self.cache = Cache(self.remote)
        self._pubsub = PubSub(redis_url, hear) if redis_url else None
        self._database = database
        self._experiments: dict[int, int] = {}  # by run

    async def start(self) -> None:
        """Begins to send messages and to hear them."""
        if self._pubsub:
            await self._pubsub.start()

    async def stop(self) -> None:
        """Ends that, and closes all connections."""
        if self._pubsub:
            await self._pubsub.stop()
        if self.remote:
            self.remote.close()

    @contextmanager
    def changing(self, *, run_id: int | None = None, experiment_id: int | None = None) -> Iterator[None]:
        """Around a transaction that changes a run, or an experiment. Told even when the block fails: a commit whose
        answer got lost may have been one."""
        if self._pubsub is None:
            yield
            return
        # Before the block: after it, a run that was deleted is in no table, and a refusal would come too late.
        about: set[int | None] = {experiment_id} if run_id is None else set(self.experiments_of([run_id]).values())
        try:
            yield
        except Refusal:  # nothing was changed
            raise
        except BaseException:
            self._tell(about, run_id)
            raise
        self._tell(about, run_id)

    def _tell(self, experiments: Collection[int | None], run_id: int | None) -> None:
        for experiment in experiments:
            if experiment is not None:
                self.cache.changed(experiment)
        if self._pubsub and run_id is not None:
            self._pubsub.publish(run_id)

    def experiments_of(self, run_ids: Collection[int]) -> dict[int, int]:
        """The experiment of each run that there is, or was."""
        unknown = [run_id for run_id in run_ids if run_id not in self._experiments]
        if unknown:
            with self._database.read() as session:
                found = store.changes.experiments_of(session, unknown)
            if len(self._experiments) > KNOWN:
                self._experiments = {}
            self._experiments |= found
        known = self._experiments
        return {run_id: known[run_id] for run_id in run_ids if run_id in known}
