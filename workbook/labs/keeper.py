"""The process that owns the services of a checkout: it starts them, says how that went, and lives until it is told to
end. Its own end, however it comes, is theirs: see `guard`.

    python -m workbook.labs.keeper FOLDER        the folder of `services`
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from .server import NoService
from .services import KINDS, Service, Services, lock


def main(folder: Path) -> int:
    """Keeps what can be had; 1 if that is nothing."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as running:
            held = lock(folder)
            if held is None:
                return 1
            running.callback((folder / "services.json").unlink, missing_ok=True)
            services = Services(os.getpid())
            services.write(folder)
            for variable, start in KINDS.items():
                begun = time.monotonic()
                try:
                    server = running.enter_context(start())
                except NoService as missing:
                    print(missing, flush=True)
                    continue
                services.started.append(Service(server.title, variable, server.url, server.pid, time.time()))
                services.write(folder)
                print(f"{server.title} answers, after {time.monotonic() - begun:.1f} s", flush=True)
            if not services.started:
                return 1
            services.ready = True
            services.write(folder)
            _let_go()
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0


def _let_go() -> None:
    """Whoever reads what we print knows by its end that we are ready."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
