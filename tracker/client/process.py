"""What the process tells its runs: which one of many it is, and how it ends.

rank            of several processes that train one model, only the first logs
identity        which run this is, where a scheduler starts the same command again
the end         an uncaught exception (failed), SIGTERM (preempted: a scheduler wants the machine), or neither
a fork          a copy of the process, such as a data loader's worker, must not end its parent's run
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import uuid
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Protocol

from tracker.values import Status

# torchrun, srun, Open MPI, other MPIs; the first that is set counts.
RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


class Watched(Protocol):
    """A run, as this module needs it."""

    def finish(self, status: Status) -> None:
        """The process ends: so does the run."""

    def after_fork(self) -> None:
        """This is now a run in a copy of its process."""


_watched: list[Watched] = []
_installed = False
_uncaught = False
_named = False  # TRACKER_RUN_ID has been given to a run


def rank(environment: Mapping[str, str]) -> int:
    """Which of the processes that train together this is; 0 when it is alone."""
    said = next((environment[name] for name in RANKS if environment.get(name)), "0")
    return int(said) if said.isdigit() else 0


def external_id(environment: Mapping[str, str]) -> str:
    """The id of a run that was given none: TRACKER_RUN_ID for the first one of this process, otherwise a new one."""
    global _named
    given = environment.get("TRACKER_RUN_ID")
    if given and not _named:
        _named = True
        return given
    return uuid.uuid4().hex


def job(environment: Mapping[str, str]) -> str | None:
    """The scheduler's job that this process is of, as `squeue` writes it; None without a scheduler."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID") or None


def attempt(environment: Mapping[str, str]) -> str:
    """Which start of the run this is: SLURM counts its own, otherwise each is a new one."""
    count = environment.get("SLURM_RESTART_COUNT", "0")
    return f"slurm-{count}" if environment.get("SLURM_JOB_ID") and count.isdigit() else uuid.uuid4().hex


def watch(run: Watched) -> None:
    """From now on the run hears of the process's end, and of a fork."""
    global _installed
    _watched.append(run)
    if _installed:
        return
    _installed = True
    atexit.register(_at_exit)
    os.register_at_fork(after_in_child=_after_fork)
    plain = sys.excepthook

    def notice(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _uncaught
        _uncaught = True
        plain(kind, error, trace)

    sys.excepthook = notice
    # Who handles SIGTERM already has plans of their own for it, and ends the run as they see fit.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def unwatch(run: Watched) -> None:
    """The run has ended by itself."""
    if run in _watched:
        _watched.remove(run)


def _at_exit() -> None:
    for run in list(_watched):
        run.finish(Status.FAILED if _uncaught else Status.FINISHED)


def _terminated(number: int, frame: FrameType | None) -> None:
    for run in list(_watched):
        run.finish(Status.PREEMPTED)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _after_fork() -> None:
    for run in _watched:
        run.after_fork()
