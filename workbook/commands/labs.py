"""The commands about what a lab needs besides notebooks: services."""

from __future__ import annotations

import argparse
import shlex
import time
from typing import Any

from .terminal import Mistake


def add_commands(commands: Any) -> None:
    """Adds it to the parser of `workbook`."""
    lab = commands.add_parser("lab", help="what a lab needs: services up, status, down")
    parts = lab.add_subparsers(dest="lab", required=True, metavar="PART")
    services = parts.add_parser("services", help="PostgreSQL, Valkey (Redis) and RabbitMQ of this checkout's own")
    doing = services.add_subparsers(dest="doing", required=True, metavar="up|status|down")
    doing.add_parser("up", help="start them in the background").set_defaults(run=_up)
    doing.add_parser("status", help="say what runs, at which address, since when").set_defaults(run=_status)
    doing.add_parser("down", help="end them; what they kept goes with them").set_defaults(run=_down)


def _up(options: argparse.Namespace) -> int:
    from ..labs.services import FOLDER, NoServices, up

    try:
        services = up(FOLDER, lambda line: print(line, flush=True))
    except NoServices as reason:
        raise Mistake(str(reason)) from None
    print("\nThe tracker uses them in a terminal in which you paste:\n")
    for service in services.started:
        print(f"export {service.variable}={shlex.quote(service.url)}")
    print("\nThey run until: workbook lab services down")
    return 0


def _status(options: argparse.Namespace) -> int:
    from ..labs.services import FOLDER, kept, read

    services, alive = read(FOLDER), kept(FOLDER)
    if services is None:
        print("No services run here. They are started by: workbook lab services up")
        return 1
    if not alive:
        print("The services that ran here were killed, with what they kept. New ones: workbook lab services up")
        return 1
    answer = [service.answers() for service in services.started]
    for service, answers in zip(services.started, answer, strict=True):
        since = time.strftime("%d %B, %H:%M", time.localtime(service.since))
        state = f"since {since}" if answers else "does not answer"
        print(f"{service.title:10}  {state:24}  process {service.pid:<7}  {service.url}")
    if not services.ready:
        print("More are being started")
    elif not all(answer):
        print("What does not answer was killed, or stopped. All anew: workbook lab services down, and up")
    return 0 if any(answer) else 1


def _down(options: argparse.Namespace) -> int:
    from ..labs.services import FOLDER, NoServices, down

    try:
        services = down(FOLDER)
    except NoServices as reason:
        raise Mistake(str(reason)) from None
    if services is None:
        print("No services run here")
    else:
        titles = [service.title for service in services.started] or ["What was being started"]
        print(f"Ended, and what they kept is gone: {', '.join(titles)}")
    return 0
