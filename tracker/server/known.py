"""Which runs there are, as far as this process has seen: so that points can be queued while the database is away.

A run that was seen within the last FRESH seconds is taken to be there still; of an older one the database is asked
again, and only if it does not answer the old knowledge will do. A run that nobody has seen is nobody's: without the
database there is no saying whether it exists.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from . import store
from .db import UNREACHABLE, Database
from .problem import NotFound

FRESH = 10.0  # s
KEPT = 10_000  # runs


class Known:
    """The runs that this process has seen, and when. Used by many threads at once."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._seen: OrderedDict[int, float] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, run_id: int) -> None:
        """Returns if the run is there. Raises NotFound, and what the database raises for one that was never seen."""
        now = self._clock()
        with self._lock:
            seen = self._seen.get(run_id)
        if seen is not None and now - seen < FRESH:
            return
        if seen is not None:  # all others do with what we know while one asks, which may take long
            self._note(run_id, now)
        try:
            with self._database.read() as session:
                store.runs.get_run(session, run_id)
        except UNREACHABLE:
            if seen is None:
                raise
        except NotFound:
            with self._lock:
                self._seen.pop(run_id, None)
            raise
        self._note(run_id, now)

    def _note(self, run_id: int, now: float) -> None:
        with self._lock:
            self._seen[run_id] = now
            self._seen.move_to_end(run_id)
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
