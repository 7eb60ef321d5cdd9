"""How large the body of a request may be, and how long it may take to come."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker.values import MAX_BODY

SECONDS = 30.0  # for the whole body of a request: MAX_BODY at 70 kB/s; a slower client holds on to us for nothing


class Limits:
    """Refuses a body over MAX_BODY bytes, and one that takes too long. What is too much is read and dropped, up to a
    point: most clients look at the answer only after they have sent everything. (FastAPI's own `max_body_size` answers
    in plain text.)"""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + SECONDS
        ended = scope["type"] != "http"  # whoever listens after the end waits for the client to leave
        size = 0

        async def limited() -> Message:
            nonlocal ended, size
            while True:
                try:
                    async with asyncio.timeout_at(None if ended else deadline):
                        message = await receive()
                except TimeoutError:
                    raise HTTPException(408, headers={"Connection": "close"}) from None
                ended = not message.get("more_body")
                size += len(message.get("body", b""))
                if size <= MAX_BODY:
                    return message
                if ended or size > 8 * MAX_BODY:
                    raise HTTPException(413)

        await self._app(scope, limited, send)
