"""A browser signs in and out; see `session`."""

from __future__ import annotations

from fastapi import Request, Response, status
from pydantic import BaseModel, Field

from ..auth import NONE_NEEDED, Gate, Who
from ..problem import Forbidden
from ..session import is_own_page
from .route import refuses, router


class SignIn(BaseModel, extra="forbid"):
    """Whoever has a key may sign in with it."""

    key: str = Field(max_length=200)


class Ticket(BaseModel):
    """An address that signs in whoever opens it first, for ten minutes."""

    path: str


@router.post("/session", status_code=status.HTTP_204_NO_CONTENT, responses=refuses(413))
async def sign_in(body: SignIn, request: Request, response: Response) -> None:
    """Signs the browser in with a key, by a cookie."""
    gate: Gate = request.app.state.gate
    _must_be_ours(request)
    caller = request.state.caller = await gate.of_key(body.key.strip())
    assert caller.key_id is not None
    gate.sessions.sign_in(response, caller.key_id, secure=request.url.scheme == "https")


@router.delete("/session", status_code=status.HTTP_204_NO_CONTENT, responses=refuses())
async def sign_out(request: Request, response: Response) -> None:
    """Signs the browser out."""
    _must_be_ours(request)
    response.delete_cookie(request.app.state.gate.sessions.cookie, path="/", httponly=True, samesite="strict")


@router.post("/tickets", status_code=status.HTTP_201_CREATED, responses=refuses())
async def create_ticket(request: Request, who: Who) -> Ticket:
    """Makes an address that signs a browser in with the key of this request, once."""
    if who.key_id is None:
        raise Forbidden(NONE_NEEDED)
    return Ticket(path=f"/ui/?ticket={request.app.state.gate.sessions.ticket(who.key_id)}")


def _must_be_ours(request: Request) -> None:
    """A page of another server must not sign somebody in as somebody else. What is no browser says no Origin."""
    if "Origin" in request.headers and not is_own_page(request.headers):
        raise Forbidden("a page of another server may not sign anybody in or out")
