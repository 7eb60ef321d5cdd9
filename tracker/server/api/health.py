"""Whether the server lives, and whether it can work; what it counted."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tracker import __version__

from .. import store, wire
from .route import REFUSED, Db, router


@router.get("/healthz")
async def healthz(request: Request) -> wire.Health:
    """The process answers. Never touches the database: a slow one is no reason to restart us."""
    return wire.Health(version=__version__, about=request.app.state.about)


@router.get("/metrics", response_class=PlainTextResponse, responses={401: REFUSED, 403: REFUSED})
def metrics(request: Request) -> Response:
    """How many requests were answered how, and how long they took, for Prometheus."""
    return Response(generate_latest(request.app.state.figures.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/readyz", responses={503: REFUSED})
def readyz(db: Db, request: Request) -> wire.Health:
    """The process can do its work: the database answers."""
    with db.read() as session:
        store.curves.ping(session)
    return wire.Health(version=__version__, about=request.app.state.about)
