"""Points on their way in, and curves on their way out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query, Response, status

from tracker.values import MAX_COMPARED, now_ms

from .. import store, wire
from ..digits import AnId, Id, MaxPoints, Step
from .route import POINTS, Db, Readers, WayIn, kept, refuses, router, written


@router.post(
    "/runs/{run_id}/metrics",
    status_code=status.HTTP_201_CREATED,
    responses={**refuses(404, 413), 202: {"model": wire.Accepted, "description": "a queue has them for good"}},
)
def add_points(run_id: Id, body: wire.Batch, ingest: WayIn, readers: Readers, response: Response) -> wire.Accepted:
    """Stores points, all or none. A point for a step that is there overwrites it, so sending a batch twice is safe."""
    now = now_ms()
    rows = body.rows(now)
    if not ingest.stores:
        response.status_code = status.HTTP_202_ACCEPTED
        return wire.Accepted(accepted=ingest.add(run_id, rows, at=now))
    with readers.changing(run_id=run_id):
        return wire.Accepted(accepted=ingest.add(run_id, rows, at=now))


@router.get(
    "/runs/{run_id}/metrics/{key:path}",
    response_model=wire.AnyCurve,
    responses={**refuses(404), 304: {"description": "it has not changed since the ETag in If-None-Match"}},
)
def get_curve(
    run_id: Id,
    key: str,
    db: Db,
    start: Annotated[Step | None, Query(alias="from", description="the first step")] = None,
    end: Annotated[Step | None, Query(alias="to", description="the last step")] = None,
    max_points: MaxPoints = POINTS,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One curve, sorted by step: point by point, or in buckets that keep every spike."""
    with db.read() as session:
        metric = store.curves.get_metric(session, run_id, key)
        tag = f'"{metric.version}"'
        if tag in (if_none_match or ""):
            return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
        curve = store.curves.read_curve(session, metric, start=start, end=end, at_most=max_points)
    answer = (wire.SampledCurve if curve["sampled"] else wire.Curve).model_validate(curve)
    return written(answer, ETag=tag)


@router.get("/compare", response_model=wire.Comparison, responses=refuses(404))
def compare(
    run: Annotated[list[AnId], Query(min_length=1, max_length=MAX_COMPARED)],
    key: wire.Key,
    db: Db,
    readers: Readers,
    max_points: MaxPoints = POINTS,
) -> Response:
    """The same key of several runs, of one experiment or of many."""

    def read() -> bytes:
        with db.read() as session:
            compared = store.curves.compare(session, run, key, at_most=max_points)
        return wire.Comparison.model_validate({"key": key, "runs": compared}).model_dump_json().encode()

    question = {"compare": run, "key": key, "max_points": max_points}
    return kept(readers.cache.read(question, lambda: readers.experiments_of(run).values(), read))
