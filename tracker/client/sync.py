"""What a tracker has not received yet, sent afterwards: what spools still hold, or the runs of another tracker.

A server that is away for a moment, or asks for one, ends nothing: each batch is tried a few times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from .http import Api, NotAllowed, Unanswered, pauses
from .sender import Sender, batches, entry_of
from .spool import Spool, spools

TRIES = 4  # of a batch: somebody waits, and the pauses add up to less than two seconds

Answer = TypeVar("Answer")


def sync(folder: Path, url: str, *, progress: Callable[[str, int], None] = lambda *_: None) -> tuple[int, int]:
    """Sends what the spools of `folder` still hold: how many of them were sent, and how many another process is at.

    `progress` is told a run and the bytes of it that are left. Raises Unanswered.
    """
    sent = busy = 0
    for file in spools(folder / "spool"):
        with closing(Spool(file)) as spool, closing(Api(url)) as api:
            if not spool.unsent:
                continue
            with spool.sending() as allowed:
                if not allowed:
                    busy += 1
                    continue
                sender = Sender(file, api)
                while retry(partial(sender.forward, spool)):
                    progress(file.stem, spool.unsent)
                sent += 1
    return sent, busy


def import_file(
    file: Path, url: str, *, experiment: str | None = None, progress: Callable[[int], None] = lambda _: None
) -> tuple[int, int]:
    """Sends all runs of an export or of a spool: how many, and how many lines and points of them the server refused.

    They go into the experiment that they are from, or into the one called `experiment`. Runs that the tracker has
    already are completed, not doubled. `progress` is told the bytes done. Raises ValueError for a file that is none of
    ours, OSError where it cannot be read, and Unanswered.
    """
    with file.open("rb") as lines, closing(Api(url)) as api:
        if not {"experiment", "run"} & entry_of(lines.readline()).keys():
            raise ValueError(f"{file} is no export of a tracker: it does not begin with an experiment or a run")
        lines.seek(0)
        sender, runs = Sender(file, api), set()
        ends = ((line.rstrip(b"\n"), lines.tell()) for line in iter(lines.readline, b""))
        for batch in batches(ends):
            for entry in batch.entries:
                if "run" in entry:
                    runs.add(entry["run"].get("external_id"))
                    entry["run"]["experiment"] = experiment or entry["run"].get("experiment")
                if "experiment" in entry:
                    entry["experiment"]["name"] = experiment or entry["experiment"].get("name")
            retry(partial(sender.deliver, batch))
            progress(batch.end)
    return len(runs), sender.refused


def retry(
    attempt: Callable[[], Answer],
    tries: int = TRIES,
    wait: Callable[[float], object] = time.sleep,
) -> Answer:
    """What `attempt` returns, after so many tries at most; between two of them, `wait` is called.

    Only Unanswered is worth another try, and NotAllowed is not: nobody mends a key in these
    seconds. The last failure is raised, and so is any other error, at once.
    """
    for pause in islice(pauses(), tries - 1):
        try:
            return attempt()
        except NotAllowed:
            raise
        except Unanswered as failure:
            wait(max(pause, failure.retry_after))
    return attempt()
