"""The key that a client sends, where the tracker asks for one. The first that there is:

TRACKER_KEY        the key itself
TRACKER_KEY_FILE   a file that holds it
key                a file of that name in TRACKER_DIR (default: ./.tracker)

A job's environment shows in what schedulers print and in crash reports, so a file is better for jobs. It must be
readable for its owner alone; one that others can read is refused, as ssh does.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path


class BadKey(Exception):
    """There is a key, and it cannot be used; the text says what to do."""


def find_key(environment: Mapping[str, str]) -> str:
    """The key; an empty text where there is none. Raises BadKey."""
    if key := environment.get("TRACKER_KEY", "").strip():
        return _checked(key, "TRACKER_KEY")
    named = environment.get("TRACKER_KEY_FILE")
    file = Path(named or Path(environment.get("TRACKER_DIR") or ".tracker") / "key")
    try:
        with file.open() as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & 0o077:
                raise BadKey(f"others can read the key in {file}: chmod 600 {file}, and ask for another if they did")
            return _checked(opened.read(1000).strip(), str(file))
    except (FileNotFoundError, NotADirectoryError):
        if not named:
            return ""
        raise BadKey(f"there is no key file {file}: name it in TRACKER_KEY_FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"the key file {file} cannot be read ({error})") from None


def _checked(key: str, where: str) -> str:
    if not re.fullmatch("[!-~]{1,200}", key):
        raise BadKey(f"{where} holds no key: one looks like trk_ and 43 letters, digits, hyphens and underscores")
    return key
