"""A file that is written as a whole, or stays as it was; and a name that nothing has yet."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """Whoever looks, or ends us in the middle, finds the old file or the new one. Raises OSError."""
    unfinished = file.with_name(f".{file.name}.part")
    try:
        with unfinished.open("wb") as written:
            written.write(content.encode() if isinstance(content, str) else content)
            written.flush()
            os.fsync(written.fileno())
        unfinished.replace(file)
    except BaseException:  # Ctrl-C, too
        unfinished.unlink(missing_ok=True)
        raise


def unused(path: Path) -> Path:
    """A path beside this one for what is kept now: with the time before its suffix, and a number if that is taken."""
    stem = f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (f"{stem}{f'-{number}' if number > 1 else ''}{path.suffix}" for number in count(1))
    return next(named for name in names if not (named := path.with_name(name)).exists())
