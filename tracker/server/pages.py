"""The pages of `web`: files that anybody may have, and that ask for the data like any other client.

Whoever opens them with a ticket (`/ui/?ticket=...`, see `session`) is signed in, and led to the address without it,
since the browser's history keeps addresses.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from .session import Sessions

WEB = Path(__file__).parent.parent / "web"
# They load nothing from elsewhere, and nobody shows them inside of a page of his own.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


class Pages(StaticFiles):
    """The files of WEB."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(directory=WEB, html=True)
        self._sessions = sessions

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or the way to it."""
        request = Request(scope)
        ticket = request.query_params.get("ticket")
        if ticket is not None:
            return self._without(ticket, request)
        response = await super().get_response(path, scope)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-cache"
        return response

    def _without(self, ticket: str, request: Request) -> Response:
        """Signed in, unless the ticket is used or was none: then the page asks for a key."""
        key_id = self._sessions.redeem(ticket)
        answer = RedirectResponse("/ui/", 303)
        if key_id is not None:
            self._sessions.sign_in(answer, key_id, secure=request.url.scheme == "https")
        return answer
