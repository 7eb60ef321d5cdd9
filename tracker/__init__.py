"""A tiny ML experiment tracker.

    import tracker

    with tracker.init("digits", params={"lr": 0.1}) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1)}, step=step)

Importing this loads nothing but Python itself: a compute node needs no packages, and training starts at once.
The server lives in `tracker.server` and is started by `tracker serve`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client.frame import to_frame
    from .client.run import Run, init, log

__all__ = ["Run", "init", "log", "to_frame"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in __all__:
        from .client import frame, run

        return getattr(frame if name == "to_frame" else run, name)
    raise AttributeError(f"module 'tracker' has no attribute {name!r}")
