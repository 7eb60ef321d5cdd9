"""`pytest --impl my_tracker`: the tracker's own tests, run on another implementation of it.

Before any test is loaded, that folder's `tracker` is put first, for this process and for all that it starts; so the
tests' subprocesses, console scripts and xdist's workers have it, too. (With `PYTHONPATH=my_tracker python -m pytest`
they would not: the folder in which Python starts comes before it, and there lies the reference.)
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableSequence
from pathlib import Path

import pytest

TESTS = "tests/tracker"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--impl`."""
    parser.getgroup("workbook").addoption(
        "--impl",
        metavar="FOLDER",
        type=Path,
        help=f"test the tracker in this folder (my_tracker) instead of the reference; without a path: {TESTS}",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: MutableSequence[str]) -> None:
    """Puts the folder first. Raises pytest.UsageError where there is no tracker in it."""
    options = early_config.known_args_namespace
    if options.impl is None:
        return
    folder = options.impl.resolve()
    if not (folder / "tracker" / "__init__.py").is_file():
        raise pytest.UsageError(f"{options.impl} holds no tracker: `workbook graduate` makes my_tracker")
    os.environ |= {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "tracker"]:
        del sys.modules[name]
    if not options.file_or_dir:
        args.append(TESTS)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Which tracker is tested."""
    if config.option.impl is None:
        return None
    import tracker

    return f"tracker: {Path(tracker.__file__).parent}"
