"""The commands `workbook author ...`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..source import ROOT, SourceError


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `workbook author`."""
    build = commands.add_parser("build", help="build the notebooks and cheat sheets from workbook/blocks")
    build.add_argument("--check", action="store_true", help="only say which of them are not what their source says")
    build.add_argument("--strict", action="store_true", help="with --check: a notebook with answers counts as changed")
    build.add_argument("--refresh-live", action="store_true", help="measure again what lessons show as measured")
    build.set_defaults(run=_build)

    contract = commands.add_parser("contract", help="prove what holds for every block, and say what to mend")
    contract.add_argument(
        "block", nargs="*", metavar="BLOCK", help="d1.b3; nothing: every block, the start notebook too"
    )
    contract.set_defaults(run=_contract)


def _build(options: argparse.Namespace) -> int:
    from ..build import build

    stale = 0
    for built in build(check=options.check, strict=options.strict, refresh_live=options.refresh_live):
        path = built.path.relative_to(ROOT)
        if built.outcome == "stale":
            stale += 1
            print(f"{path} is not what its source says: make build")
        elif built.outcome == "kept":
            print(f"{path} kept: a reader wrote in it")
        elif built.outcome == "written":
            print(f"{path} written")
    return 1 if stale else 0


def _contract(options: argparse.Namespace) -> int:
    """Exit code 0 when every line holds."""
    from ..labs import offline
    from .block import blocks
    from .contract import CONTRACT
    from .evidence import Evidence

    known = {block.id: block for block in blocks()}
    for name in options.block:
        if name not in known:
            raise SourceError(f"there is no block {name!r}; the blocks are {', '.join(known)}")
    broken = 0
    for name in options.block or known:
        began, evidence = time.monotonic(), Evidence(known[name])
        print(f"{name}  {known[name].source.title}: running its answers ...", flush=True)
        evidence.gather()
        for line in CONTRACT:
            found = list(line.broken(evidence))
            broken += bool(found)
            print(f"  {'✗' if found else '✓'} {line.number:2}  {line.name}")
            for complaint in found:
                print(f"        {complaint}")
        if not offline.is_possible():
            print("  11 was not tried: it takes the network away with `unshare --user --net`, which cannot be had here")
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
    return 1 if broken else 0
