"""What the server says about itself: for each request a log line, and figures that Prometheus collects.

    {"at": 1767225600000, "level": "info", "says": "GET /runs/{run_id}", "request": "5f0c...", "status": 200, "ms": 1.3}
    {"says": "DELETE /runs/{run_id}", ..., "key": 3, "owner": "ann", "ids": {"run_id": "77"}}
    tracker_requests_total{method="GET",route="/runs/{run_id}",status="200"} 1.0
    tracker_request_seconds_bucket{route="/runs/{run_id}",le="0.005"} 1.0

Both name the route and not the path: a run's id would make a time series of its own for every run. Neither has query
strings, headers or bodies, in which names and keys travel. A request keeps the id that it brings in X-Request-ID, so
that its way through several services can be followed; one that brings none is given one.

Where keys are needed, the line of a request that may change something also says who asked, by the number of their key,
and about what. These lines are the audit: `--quiet` does not leave them out. No line has a key in it, wherever somebody
put it by mistake.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
QUIET = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/ui",
}  # asked all day by machines, or a page's own files: counted, not logged

KEY = re.compile(r"trk_[\w-]+")
SAFE = ("GET", "HEAD", "OPTIONS")

request_id: ContextVar[str] = ContextVar("request_id", default="")
log = logging.getLogger("tracker.server.requests")
audit = logging.getLogger("tracker.server.audit")


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time (ms), level, message, request; `figures` of the record; an exception's trace."""
        entry = {
            "at": round(record.created * 1000),
            "level": record.levelname.lower(),
            "says": record.getMessage(),
            "request": request_id.get(),
            **getattr(record, "figures", {}),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return KEY.sub("trk_...", json.dumps(entry, ensure_ascii=False))


class Figures:
    """What Prometheus collects of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tracker_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "tracker_request_seconds", "From the first byte to the answer.", ("route",), registry=self.registry
        )


class Observed:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        brought = Headers(scope=scope).get(HEADER, "")
        request_id.set(brought if re.fullmatch(r"[\w.-]{1,64}", brought, re.ASCII) else uuid.uuid4().hex)
        start = time.perf_counter()
        status = 500  # until something else is answered

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id.get()
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "none")  # what matched; a page's Mount is its folder
            self._figures.requests.labels(scope["method"], route, status).inc()
            self._figures.seconds.labels(route).observe(seconds)
            if route not in QUIET or status >= 400:
                figures = {"status": status, "ms": round(seconds * 1000, 1)}
                caller = scope.get("state", {}).get("caller")  # of `auth`, if it came so far
                changes = getattr(caller, "key_id", None) is not None and scope["method"] not in SAFE
                if caller and changes:
                    figures |= {"key": caller.key_id, "owner": caller.owner, "ids": scope.get("path_params", {})}
                (audit if changes else log).info("%s %s", scope["method"], route, extra={"figures": figures})
