"""A Python kernel of its own, in which cells are run one after the other, each with a time limit.

The kernel dies with this process, and a cell that kills it, hangs in it or waits for input is an ordinary answer here:
`Kernel.run` says which of these it was.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from types import TracebackType
from typing import Any, Self, TypeVar

# What a notebook prints must not depend on where it is run.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC", "COLUMNS": "100", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
START_SECONDS = 60.0
STARTS = 3  # a kernel is told free ports, and dies if somebody else was quicker
Started = TypeVar("Started")
INTERRUPT_SECONDS = 5.0  # for a cell to notice that it was interrupted
# Bytes that a kernel may hold, so that an answer which collects without end gets a MemoryError before the machine has
# to swap. A notebook of ours holds 0.3 GB; per processor, the threads of numerical libraries reserve up to 0.1 GB.
MEMORY = 4 * 2**30 + (os.cpu_count() or 1) * 2**27
# Linux keeps to that limit; macOS takes it, and does not. `quit()` and `exit` would end the kernel a moment after the
# cell, in the middle of the next one: now they are what `sys.exit()` is.
PRELUDE = """
get_ipython().ask_exit = __import__("sys").exit
__import__("resource").setrlimit(__import__("resource").RLIMIT_DATA, ({0}, {0}))
"""


@dataclass
class Ran:
    """What running a cell came to."""

    outputs: list[dict[str, Any]] = field(default_factory=list)  # the content of each iopub message of it
    error: dict[str, Any] | None = None  # `ename`, `evalue`, `traceback` of the exception that ended it
    stopped: str | None = None  # why the cell was not left to end by itself
    fresh: bool = False  # the kernel was given up for it: the next cell runs in a new one


def started(start: Callable[[], Started]) -> Started:
    """Starts a kernel; once more if it died before it answered, which jupyter_client says with a RuntimeError."""
    for again in range(STARTS):
        try:
            return start()
        except RuntimeError as error:
            if again + 1 == STARTS or "died" not in str(error):
                raise
    raise AssertionError


class Kernel:
    """One kernel, from the beginning to the end of a `with` block."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = os.environ | ENVIRONMENT | (environment or {})
        self._client: Any = None
        self._manager: Any = None

    def __enter__(self) -> Self:
        return started(self._start)

    def _start(self) -> Self:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(self._folder), env=self._environment, stderr=subprocess.DEVNULL)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        try:
            self._wait()
        except RuntimeError:
            self.__exit__(None, None, None)
            raise
        self._client.execute(PRELUDE.format(MEMORY), silent=True, stop_on_error=False)
        return self

    def _wait(self) -> None:
        """Until it answers on both of its channels. Raises RuntimeError if it never does.

        jupyter_client's `wait_for_ready` goes on until nothing has come for 0.2 s; here, messages say whose they are.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._client.kernel_info()
            with suppress(Empty):
                self._client.get_shell_msg(timeout=1.0)
                self._client.get_iopub_msg(timeout=0.2)
                return
            if not self._manager.is_alive():
                raise RuntimeError("the kernel died before it answered")
        raise RuntimeError(f"the kernel did not answer within {START_SECONDS:g} seconds")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, source: str, seconds: float) -> Ran:
        """Runs a cell. One that is not done after `seconds` is interrupted, and if that does not help, killed."""
        ran = Ran()
        request = self._client.execute(source, allow_stdin=False)
        if self._collect(request, ran, seconds):
            if ran.error is None or not ran.error["ename"].endswith("MemoryError"):
                return ran
            # What it collected may be held by its names still, and would be missing for the cells to come.
            ran.error = ran.error | {"evalue": ran.error["evalue"] or f"it wanted more than {MEMORY / 2**30:.0f} GB"}
        elif self._manager.is_alive():
            ran.stopped = f"it took longer than {seconds:g} seconds: an endless loop?"
            self._manager.interrupt_kernel()
            if self._collect(request, ran, INTERRUPT_SECONDS):
                return ran
        else:
            ran.stopped = "it ended Python itself (os._exit, a crash, or out of memory)"
        self.__exit__(None, None, None)
        self.__enter__()
        ran.fresh = True
        return ran

    def _collect(self, request: str, ran: Ran, seconds: float) -> bool:
        """Takes the cell's messages; True when it is done, False when the time is up or the kernel is dead."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=min(0.5, max(0.0, deadline - time.monotonic())))
            except Empty:
                if time.monotonic() >= deadline or not self._manager.is_alive():
                    return False
                continue
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            if message["msg_type"] == "error":
                ran.error = content
            elif message["msg_type"] in ("display_data", "execute_result", "stream"):
                ran.outputs.append(content)
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                ran.error = ran.error or self._refused(request)
                return True

    def _refused(self, request: str) -> dict[str, Any] | None:
        """The error in the reply to a cell. Where the memory does not even suffice to draw a traceback, only that one
        says so."""
        while True:
            try:
                reply = self._client.get_shell_msg(timeout=INTERRUPT_SECONDS)  # it is sent before "idle"
            except Empty:
                return None
            if reply["parent_header"].get("msg_id") == request:
                content: dict[str, Any] = reply["content"]
                return content if content["status"] == "error" else None
