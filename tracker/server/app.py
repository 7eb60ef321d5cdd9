"""The application: routes, refusals and pages put together. `create_app` is all that others need.

request -> limits of its body -> host check, rate limit -> route (api) -> transaction (db) -> statements (store)
                                         any refusal on the way -> problem+json (here)
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker import __version__
from tracker.values import MAX_BODY

from .api import router
from .api.route import REFUSED
from .config import Settings
from .db import UNREACHABLE, Database
from .fanout import Fanout
from .ingest import Ingest, WayIn
from .limit import Limit
from .live import Live
from .observe import Figures, Observed, request_id
from .problem import Problem, Refusal, in_sentences

WEB = Path(__file__).parent.parent / "web"
BODY_SECONDS = 30.0  # for the whole body of a request: MAX_BODY at 70 kB/s; a slower client holds on to us for nothing
log = logging.getLogger("tracker.server")


def create_app(settings: Settings, database: Database, about: str = "") -> FastAPI:
    """The tracker on a database that its owner has migrated, and will close.

    `about` is shown to whoever looks: a sentence on this server, of whoever starts it.
    """

    async def known_host(request: Request) -> None:
        """Refuses a page that reaches us under a name of its own making (DNS rebinding) and could then read all."""
        host = request.url.hostname or ""
        if host.lower() not in settings.hosts:
            detail = f"this server is not {host!r}; if it should be, start it with TRACKER_HOSTS set to that name"
            raise HTTPException(HTTPStatus.MISDIRECTED_REQUEST, detail)

    ingest = _way_in(settings, database)
    live = Live(database, settings.streams)
    fanout = Fanout(settings.redis_url, database, live.look)
    limit = Limit(settings.rate_limit, fanout.remote)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        """What runs beside the requests: starts before the first of them, and ends after the last."""
        await fanout.start()
        await ingest.start()
        yield
        live.close()
        await ingest.stop()
        await fanout.stop()

    app = FastAPI(
        title="tracker",
        version=__version__,
        lifespan=lifespan,
        dependencies=[Depends(known_host), Depends(limit.check)],
        responses={HTTPStatus.MISDIRECTED_REQUEST: REFUSED},
        docs_url=None,  # both of FastAPI's pages load their scripts from somebody else's server
        redoc_url=None,
        exception_handlers={
            Refusal: _refusal,
            RequestValidationError: _invalid,
            StarletteHTTPException: _http_error,
            **dict.fromkeys(UNREACHABLE, _database_error),
            Exception: _fault,
        },
    )
    app.state.about = about
    app.state.database = database
    app.state.ingest = ingest
    app.state.live = live
    app.state.fanout = fanout
    app.state.figures = Figures()
    app.add_middleware(_BodyLimits)
    app.add_middleware(Observed, figures=app.state.figures)
    app.include_router(router)
    app.mount("/ui", _Pages(directory=WEB, html=True))

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/ui/")

    _describe_problem(app)
    return app


def _way_in(settings: Settings, database: Database) -> WayIn:
    if not settings.rabbitmq_url:
        return Ingest(database)
    from .broker import Broker, Publisher  # needs a package that only this tier has

    return Publisher(database, Broker.of(settings))


class _BodyLimits:
    """Refuses a body over MAX_BODY bytes, and one that takes too long. What is too much is read and dropped, up to a
    point: most clients look at the answer only after they have sent everything. (FastAPI's own `max_body_size` answers
    in plain text.)"""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
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


class _Pages(StaticFiles):
    """The pages of `web`, which may load nothing from elsewhere."""

    async def get_response(self, path: str, scope: Scope) -> Any:
        response = await super().get_response(path, scope)
        response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-cache"
        return response


def _describe_problem(app: FastAPI) -> None:
    """Adds the shape of a refusal to the OpenAPI document, once, for every route that refers to it."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _problem(
    status: int, kind: str, detail: str, *, errors: list[dict[str, str]] | None = None, headers: Any = None
) -> JSONResponse:
    title = kind.replace("-", " ").capitalize()
    problem = Problem(type=f"urn:tracker:{kind}", title=title, status=status, detail=detail, errors=errors)
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, media_type="application/problem+json")


async def _refusal(_: Request, refusal: Any) -> JSONResponse:
    headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else None
    return _problem(refusal.status, refusal.kind, str(refusal), headers=headers)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    errors = in_sentences(error.errors())
    detail = "; ".join(e["says"] if e["at"] == "body" else f"{e['at']}: {e['says']}" for e in errors)
    return _problem(422, "invalid", detail, errors=errors)


async def _http_error(request: Request, error: Any) -> JSONResponse:
    if error.status_code == 400:  # FastAPI's word for a body that is not even text
        return _problem(422, "invalid", "the body is not JSON: it is not UTF-8 text")
    known = {
        404: ("not-found", f"there is nothing at {request.url.path}"),
        405: ("method-not-allowed", f"{request.method} is not possible here"),
        408: ("too-slow", f"a request has {BODY_SECONDS:g} seconds to send its body: send it in parts"),
        413: ("too-large", f"a request has at most {MAX_BODY} bytes: send it in parts"),
        421: ("unknown-host", error.detail),
    }
    kind, detail = known.get(error.status_code, ("refused", error.detail))
    headers = error.headers
    if error.status_code == 405:  # Starlette's `Allow` has the methods of one route; a path may have several routes
        here = (r for r in router.routes if isinstance(r, APIRoute) and r.path_regex.match(request.url.path))
        headers = {"Allow": ", ".join(sorted({m for route in here for m in route.methods or ()})) or headers["Allow"]}
    return _problem(error.status_code, kind, detail, headers=headers)


async def _database_error(_: Request, error: Any) -> JSONResponse:
    reason = getattr(error, "orig", error)  # a TimeoutError, of those who wait for a connection, has no other
    log.error("the database did not answer: %s", reason)
    # PostgreSQL's own words name hosts and users, which are nobody's business.
    why = f" ({reason})" if isinstance(reason, sqlite3.Error) else ""
    return _problem(503, "database", f"the database did not answer{why}; try again", headers={"Retry-After": "1"})


async def _fault(_: Request, error: Any) -> JSONResponse:
    log.error("fault", exc_info=error)
    return _problem(500, "fault", f"a fault of the server; its log says more about request {request_id.get()}")
