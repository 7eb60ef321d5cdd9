"""What all routes have in common: how a body is read, what a handler may ask for, what it may answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json

from tracker.values import now_ms

from .. import ingest, wire
from ..db import Database
from ..fanout import Fanout


class _Request(Request):
    """A request whose JSON is read by pydantic's parser, which takes a third of the time."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return from_json(body)
        except ValueError:
            return json.loads(body)  # whose refusal says where


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        plain = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await plain(_Request(request.scope, request.receive))

        return handle


router = APIRouter(route_class=_Route)  # each module of this folder adds its own


# These three, and `known_host`, are `async` because FastAPI would hand a plain function to a thread of its own.
async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _ingest(request: Request) -> ingest.WayIn:
    way_in: ingest.WayIn = request.app.state.ingest
    return way_in


async def _fanout(request: Request) -> Fanout:
    fanout: Fanout = request.app.state.fanout
    return fanout


Db = Annotated[Database, Depends(_database)]
WayIn = Annotated[ingest.WayIn, Depends(_ingest)]
Readers = Annotated[Fanout, Depends(_fanout)]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]
RunQuery = Annotated[wire.RunQuery, Query()]

POINTS = 2000  # of a curve, where the request does not say: about what a screen has columns
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSED = {"description": "refused", "content": _PROBLEM}  # as the OpenAPI document has it


def refuses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides success: these, and what any may that asks for a key and reads the database."""
    slow = (408,) if 413 in codes else ()  # whoever may send too much may send too slowly
    return dict.fromkeys((401, 403, *codes, *slow, 422, 429, 503), REFUSED)


def timed(body: wire.RunCreate | wire.RunPatch) -> dict[str, Any]:
    """What the request says, its `at` as `when`; and `at` is now."""
    said = dict(body)
    return {**said, "when": said["at"], "at": now_ms()}


def written(answer: BaseModel, **headers: str) -> Response:
    """An answer with many numbers, written at once: FastAPI's own way would first copy each of them, and loses the
    infinities of a union on the way."""
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)


def kept(text: bytes) -> Response:
    """An answer that was written before."""
    return Response(text, media_type="application/json")
