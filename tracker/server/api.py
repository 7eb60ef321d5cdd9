"""The routes: which path answers what. They check nothing and know no SQL: `wire` says what a valid request is, `store`
what becomes of it, and whatever either refuses becomes a problem+json in `app`.

The handlers are plain `def`, because the database's driver blocks: FastAPI runs each in a thread of its own, and the
event loop goes on. Each opens its transaction itself, so the commit is done before the answer leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, status
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from pydantic_core import from_json
from sqlalchemy.orm import Session

from tracker import __version__
from tracker.values import MAX_COMPARED, MAX_INTEGER, MAX_SHOWN, now_ms

from . import wire
from .db import Database
from .ingest import Ingest
from .store import archive, curves, experiments, runs
from .store import points as points_
from .store.pages import PAGE


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


router = APIRouter(route_class=_Route)


# These two, and `known_host`, are `async` because FastAPI would hand a plain function to a thread of its own.
async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _ingest(request: Request) -> Ingest:
    ingest: Ingest = request.app.state.ingest
    return ingest


Db = Annotated[Database, Depends(_database)]
Id = Annotated[int, Path(ge=1, le=MAX_INTEGER)]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200, description="rows of a page")]
RunQuery = Annotated[wire.RunQuery, Query()]
MaxPoints = Annotated[int, Query(ge=1, le=MAX_SHOWN, description="more points than this come as buckets")]

POINTS = 2000  # of a curve, where the request does not say: about what a screen has columns
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSED = {"description": "refused", "content": _PROBLEM}  # as the OpenAPI document has it


def _refuses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides success: these, and what any route may that reads the database."""
    slow = (408,) if 413 in codes else ()  # whoever may send too much may send too slowly
    return dict.fromkeys((*codes, *slow, 422, 503), REFUSED)


_EXPORT_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"content": {name: {"schema": {"type": "string"}} for name in _EXPORT_TYPES.values()}}
}


def _timed(body: wire.RunCreate | wire.RunPatch) -> dict[str, Any]:
    """What the request says, its `at` as `when`; and `at` is now."""
    said = dict(body)
    return {**said, "when": said["at"], "at": now_ms()}


@router.post("/experiments", status_code=status.HTTP_201_CREATED, responses=_refuses(409, 413))
def create_experiment(body: wire.ExperimentCreate, db: Db, response: Response) -> wire.ExperimentOut:
    """Creates an experiment; its name is unique."""
    with db.write() as session:
        created_at = now_ms() if body.at is None else body.at
        experiment = experiments.create_experiment(session, body.name, body.description, created_at)
    response.headers["Location"] = f"/experiments/{experiment.id}"
    return wire.ExperimentOut.model_validate(experiment)


@router.get("/experiments", responses=_refuses(400))
def list_experiments(
    db: Db, name: str | None = None, cursor: Cursor = None, limit: Limit = PAGE
) -> wire.Page[wire.ExperimentItem]:
    """Lists experiments, newest first."""
    with db.read() as session:
        page = experiments.list_experiments(session, name=name, cursor=cursor, limit=limit)
        return wire.Page[wire.ExperimentItem].model_validate(page)


@router.get("/experiments/{experiment_id}", response_model=wire.ExperimentWithRuns, responses=_refuses(400, 404))
def get_experiment(experiment_id: Id, db: Db, query: RunQuery) -> Response:
    """The experiment and a page of its runs, each with the newest point of each curve."""
    with db.read() as session:
        experiment = wire.ExperimentOut.model_validate(experiments.get_experiment(session, experiment_id))
        page = runs.list_runs(session, experiment_id, **query.model_dump())
        runs_ = wire.Page[wire.RunItem].model_validate(page)
        return _written(wire.ExperimentWithRuns(**dict(experiment), runs=runs_))


@router.delete("/experiments/{experiment_id}", status_code=status.HTTP_204_NO_CONTENT, responses=_refuses(404))
def delete_experiment(experiment_id: Id, db: Db) -> None:
    """Deletes the experiment with its runs and all their points."""
    with db.write() as session:
        experiments.delete_experiment(session, experiment_id)


@router.get("/experiments/{experiment_id}/runs", response_model=wire.Page[wire.RunItem], responses=_refuses(400, 404))
def list_runs(experiment_id: Id, db: Db, query: RunQuery) -> Response:
    """Lists the experiment's runs, the newest first or as `sort` says."""
    with db.read() as session:
        page = runs.list_runs(session, experiment_id, **query.model_dump())
        return _written(wire.Page[wire.RunItem].model_validate(page))


@router.post(
    "/experiments/{experiment_id}/runs",
    status_code=status.HTTP_201_CREATED,
    responses={**_refuses(404, 413), 200: {"model": wire.RunOut, "description": "the run existed and goes on"}},
)
def create_run(experiment_id: Id, body: wire.RunCreate, db: Db, response: Response) -> wire.RunOut:
    """Creates a run, or resumes the one that has this `external_id`."""
    with db.write() as session:
        run, is_new = runs.create_run(session, experiment_id, **_timed(body))
    response.headers["Location"] = f"/runs/{run.id}"
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return wire.RunOut.model_validate(run)


@router.get("/experiments/{experiment_id}/export", response_class=StreamingResponse, responses=_EXPORT | _refuses(404))
def export(experiment_id: Id, db: Db, format: Literal["jsonl", "csv"] = "jsonl") -> Response:
    """The experiment as lines of JSON, which `tracker import` reads, or as a table of its points."""
    blocks = _export(db, experiment_id, archive.read_csv if format == "csv" else archive.read_lines)
    first = next(blocks)  # what is refused is refused before anything is sent
    headers = {"Content-Disposition": f'attachment; filename="experiment-{experiment_id}.{format}"'}
    return StreamingResponse(chain([first], blocks), media_type=_EXPORT_TYPES[format], headers=headers)


def _export(db: Database, experiment_id: int, read: Callable[[Session, int], Iterator[str]]) -> Iterator[str]:
    """What `read` gives, in blocks, and all of one moment."""
    with db.read() as session:
        yield from archive.in_blocks(read(session, experiment_id))


@router.get("/runs", response_model=wire.Page[wire.RunItem], responses=_refuses(400))
def list_all_runs(db: Db, query: RunQuery) -> Response:
    """Lists runs of all experiments, the newest first or as `sort` says; for instance those of one `job`."""
    with db.read() as session:
        page = runs.list_runs(session, None, **query.model_dump())
        return _written(wire.Page[wire.RunItem].model_validate(page))


@router.get("/runs/{run_id}", responses=_refuses(404))
def get_run(run_id: Id, db: Db) -> wire.RunOut:
    """The run."""
    with db.read() as session:
        return wire.RunOut.model_validate(runs.get_run(session, run_id))


@router.patch("/runs/{run_id}", responses=_refuses(404, 409, 413))
def change_run(run_id: Id, body: wire.RunPatch, db: Db) -> wire.RunOut:
    """Changes a run's status, name or tags."""
    with db.write() as session:
        run = runs.change_run(session, run_id, **_timed(body))
    return wire.RunOut.model_validate(run)


@router.delete("/runs/{run_id}", status_code=status.HTTP_204_NO_CONTENT, responses=_refuses(404))
def delete_run(run_id: Id, db: Db) -> None:
    """Deletes the run and all its points."""
    with db.write() as session:
        runs.delete_run(session, run_id)


@router.post("/runs/{run_id}/metrics", status_code=status.HTTP_201_CREATED, responses=_refuses(404, 413))
def add_points(run_id: Id, body: wire.Batch, ingest: Annotated[Ingest, Depends(_ingest)]) -> wire.Accepted:
    """Stores points, all or none. A point for a step that is there overwrites it, so sending a batch twice is safe."""
    now = now_ms()
    return wire.Accepted(accepted=ingest.add(run_id, body.rows(now), at=now))


@router.post("/runs/{run_id}/rewind", responses=_refuses(404, 413))
def rewind(run_id: Id, body: wire.Rewind, db: Db) -> wire.Rewind:
    """Deletes what was logged after a checkpoint, and keeps what is still on its way from coming back."""
    with db.write() as session:
        points_.rewind(session, run_id, step=body.step, until=body.at)
    return body


@router.get(
    "/runs/{run_id}/metrics/{key:path}",
    response_model=wire.AnyCurve,
    responses={**_refuses(404), 304: {"description": "it has not changed since the ETag in If-None-Match"}},
)
def get_curve(
    run_id: Id,
    key: str,
    db: Db,
    start: Annotated[int | None, Query(alias="from", ge=0, le=MAX_INTEGER, description="the first step")] = None,
    end: Annotated[int | None, Query(alias="to", ge=0, le=MAX_INTEGER, description="the last step")] = None,
    max_points: MaxPoints = POINTS,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One curve, sorted by step: point by point, or in buckets that keep every spike."""
    with db.read() as session:
        metric = curves.get_metric(session, run_id, key)
        tag = f'"{metric.version}"'
        if tag in (if_none_match or ""):
            return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
        curve = curves.read_curve(session, metric, start=start, end=end, at_most=max_points)
    answer = (wire.SampledCurve if curve["sampled"] else wire.Curve).model_validate(curve)
    return _written(answer, ETag=tag)


@router.get("/compare", response_model=wire.Comparison, responses=_refuses(404))
def compare(
    run: Annotated[list[Annotated[int, Query(ge=1, le=MAX_INTEGER)]], Query(min_length=1, max_length=MAX_COMPARED)],
    key: wire.Key,
    db: Db,
    max_points: MaxPoints = POINTS,
) -> Response:
    """The same key of several runs, of one experiment or of many."""
    with db.read() as session:
        compared = curves.compare(session, run, key, at_most=max_points)
    return _written(wire.Comparison.model_validate({"key": key, "runs": compared}))


def _written(answer: BaseModel, **headers: str) -> Response:
    """An answer with many numbers, written at once: FastAPI's own way would first copy each of them, and loses the
    infinities of a union on the way."""
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)


@router.get("/healthz")
async def healthz(request: Request) -> wire.Health:
    """The process answers. Never touches the database: a slow one is no reason to restart us."""
    return wire.Health(version=__version__, about=request.app.state.about)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """How many requests were answered how, and how long they took, for Prometheus."""
    return Response(generate_latest(request.app.state.figures.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/readyz", responses=_refuses(503))
def readyz(db: Db, request: Request) -> wire.Health:
    """The process can do its work: the database answers."""
    with db.read() as session:
        curves.ping(session)
    return wire.Health(version=__version__, about=request.app.state.about)
