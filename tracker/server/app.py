"""The application: routes, refusals and pages put together. `create_app` is all that others need.

request -> limits of its body -> host, caller (auth), rate -> route (api) -> transaction (db) -> statements (store)
                                         any refusal on the way -> problem+json (here)
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from tracker import __version__
from tracker.values import MAX_BODY

from . import body, headers
from .api import router
from .api.route import REFUSED
from .auth import Gate, allowed
from .config import Settings
from .db import UNREACHABLE, Database
from .fanout import Fanout
from .ingest import Ingest, WayIn
from .limit import Limit
from .live import Live
from .observe import Figures, Observed, request_id
from .pages import Pages
from .problem import Problem, Refusal, in_sentences

log = logging.getLogger("tracker.server")


def create_app(settings: Settings, database: Database, about: str = "") -> FastAPI:
    """The tracker on a database that its owner has migrated, and will close.

    `about` is shown to whoever looks: a sentence on this server, of whoever starts it.
    """

    async def known_host(request: Request) -> None:
        """Refuses a page that reaches us under a name of its own making (DNS rebinding) and could then read all."""
        host = headers.host_of(request.headers)
        if host not in settings.hosts:
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
        dependencies=[Depends(known_host), Depends(allowed), Depends(limit.check)],
        responses={HTTPStatus.MISDIRECTED_REQUEST: REFUSED},
        openapi_url=None,  # FastAPI's own route would ask nobody for a key
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
    app.state.gate = Gate(settings, database)
    app.add_middleware(body.Limits)
    headers.add_to(app, settings.origins)
    app.add_middleware(Observed, figures=app.state.figures)
    app.include_router(router)
    app.mount("/ui", Pages(app.state.gate.sessions))

    @app.get("/openapi.json", include_in_schema=False)
    def document() -> dict[str, Any]:
        return app.openapi()

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
    later = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else {}
    return _problem(refusal.status, refusal.kind, str(refusal), headers=refusal.headers | later)


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
        408: ("too-slow", f"a request has {body.SECONDS:g} seconds to send its body: send it in parts"),
        413: ("too-large", f"a request has at most {MAX_BODY} bytes: send it in parts"),
        421: ("unknown-host", error.detail),
    }
    kind, detail = known.get(error.status_code, ("refused", error.detail))
    told = error.headers
    if error.status_code == 405:  # Starlette's `Allow` has the methods of one route; a path may have several routes
        here = (r for r in router.routes if isinstance(r, APIRoute) and r.path_regex.match(request.url.path))
        told = {"Allow": ", ".join(sorted({m for route in here for m in route.methods or ()})) or told["Allow"]}
    return _problem(error.status_code, kind, detail, headers=told)


async def _database_error(_: Request, error: Any) -> JSONResponse:
    reason = getattr(error, "orig", error)  # a TimeoutError, of those who wait for a connection, has no other
    log.error("the database did not answer: %s", reason)
    # PostgreSQL's own words name hosts and users, which are nobody's business.
    why = f" ({reason})" if isinstance(reason, sqlite3.Error) else ""
    return _problem(503, "database", f"the database did not answer{why}; try again", headers={"Retry-After": "1"})


async def _fault(_: Request, error: Any) -> JSONResponse:
    log.error("fault", exc_info=error)
    detail = f"a fault of the server; its log says more about request {request_id.get()}"
    return _problem(500, "fault", detail, headers=headers.SECURITY)  # it comes past every layer
