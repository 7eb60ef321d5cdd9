"""What every answer tells the browser that gets it: what it is, who may keep it, and where it may be shown.

A name that somebody gave to a run may hold a whole page with scripts. It stays harmless because it only travels as JSON
that no browser takes for a page (nosniff), and runs nothing if one did (Content-Security-Policy).
"""

from __future__ import annotations

import re

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What a browser has of somebody's data must not come up for who sits down after them. With an ETag it may keep it, and
# asks each time whether it still may show it.
UNKEPT, ASKED_AGAIN = "no-store", "private, no-cache"
# Pages that TRACKER_ORIGINS allows. They send a key, and no cookie.
METHODS = ["GET", "POST", "PATCH", "DELETE"]
SENT = ["Authorization", "Content-Type", "If-None-Match", "X-Request-ID"]
READ = ["ETag", "Location", "Retry-After", "X-Request-ID"]


def add_to(app: FastAPI, origins: frozenset[str]) -> None:
    """Each answer gets the headers, and pages of these origins may ask."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=READ,
        )
    app.add_middleware(SecurityHeaders)


def host_of(headers: Headers) -> str:
    """The name under which we were asked, in small letters, without its port; what is no name, or two, as it came.

    Starlette's `request.url` would put our own address in the place of what is no name.
    """
    given = ", ".join(headers.getlist("Host")).lower()
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d+)?", given)
    return (found[1] or found[2]) if found else given


class SecurityHeaders:
    """Adds them to each answer; what a route says itself stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", ASKED_AGAIN if "ETag" in headers else UNKEPT)
            await send(message)

        await self._app(scope, receive, sending)
