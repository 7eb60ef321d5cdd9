"""Live events: one stream per viewer and run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse

from tracker.values import MAX_INTEGER

from ..digits import Id
from ..live import Live, Stream
from .route import refuses, router

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`metrics` (which curves have which version), `run` (its status), `gone`; until one side ends",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/runs/{run_id}/events", response_class=StreamingResponse, responses=_EVENTS | refuses(404))
async def events(
    run_id: Id,
    request: Request,
    last_event_id: Annotated[int, Header(ge=0, le=MAX_INTEGER, description="the id of the last event received")] = 0,
) -> Response:
    """What changes about the run, while it changes."""
    live: Live = request.app.state.live
    return Stream(await live.watch(run_id, last_event_id))
