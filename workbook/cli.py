"""The command `workbook`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code of the process. Ctrl-C ends it without a word, also while it is still loading."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        return 130


def _main(arguments: Sequence[str] | None) -> int:
    from .author.cli import add_commands as add_author
    from .commands import answers, bank, checkout, labs, mine, paper
    from .commands.terminal import Mistake, warn
    from .judge import NotJudged
    from .source import SourceError

    parser = argparse.ArgumentParser(prog="workbook", description="The workbook's commands.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (checkout, answers, bank, mine, paper, labs):
        module.add_commands(commands)
    author = commands.add_parser("author", help="what the workbook's authors need: build, contract, new")
    add_author(author.add_subparsers(dest="author", required=True, metavar="COMMAND"))
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (Mistake, SourceError, NotJudged) as mistake:
        warn(str(mistake))
        return 1
    except BrokenPipeError:  # who reads what we write has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        warn(f"{error.filename}: {error.strerror}")
        return 1
