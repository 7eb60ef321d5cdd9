"""The routes: which path answers what. They check nothing and know no SQL: `wire` says what a valid request is, `store`
what becomes of it, and whatever either refuses becomes a problem+json in `app`.

The handlers are plain `def`, because the database's driver blocks: FastAPI runs each in a thread of its own, and the
event loop goes on. Each opens its transaction itself, so the commit is done before the answer leaves.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from tracker import __version__
from tracker.values import MAX_INTEGER, now_ms

from . import store, wire
from .db import Database

router = APIRouter()


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


Db = Annotated[Database, Depends(_database)]
Id = Annotated[int, Path(ge=1, le=MAX_INTEGER)]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200, description="rows of a page")]


def _refuses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer besides success, for the OpenAPI document."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": "refused", "content": content} for code in (*codes, 422)}


def _page(listed: store.Listed) -> dict[str, Any]:
    return {"items": listed.rows, "next": wire.to_cursor(listed.last_id) if listed.last_id else None}


def _below(cursor: str | None) -> int | None:
    return wire.from_cursor(cursor) if cursor is not None else None


@router.post("/experiments", status_code=status.HTTP_201_CREATED, responses=_refuses(409, 413))
def create_experiment(body: wire.ExperimentCreate, db: Db, response: Response) -> wire.ExperimentOut:
    """Creates an experiment; its name is unique."""
    with db.write() as session:
        experiment = store.create_experiment(session, body.name, body.description, now_ms())
    response.headers["Location"] = f"/experiments/{experiment.id}"
    return wire.ExperimentOut.model_validate(experiment)


@router.get("/experiments", responses=_refuses(400))
def list_experiments(
    db: Db, name: str | None = None, cursor: Cursor = None, limit: Limit = store.PAGE
) -> wire.Page[wire.ExperimentItem]:
    """Lists experiments, newest first."""
    below = _below(cursor)
    with db.read() as session:
        page = _page(store.list_experiments(session, name=name, below=below, limit=limit))
        return wire.Page[wire.ExperimentItem].model_validate(page)


@router.get("/experiments/{experiment_id}", responses=_refuses(404))
def get_experiment(experiment_id: Id, db: Db, limit: Limit = store.PAGE) -> wire.ExperimentWithRuns:
    """The experiment and the first page of its runs, each with the newest point of each curve."""
    with db.read() as session:
        experiment = wire.ExperimentOut.model_validate(store.get_experiment(session, experiment_id))
        runs = _page(store.list_runs(session, experiment_id, limit=limit))
        return wire.ExperimentWithRuns(**dict(experiment), runs=wire.Page[wire.RunItem].model_validate(runs))


@router.get("/experiments/{experiment_id}/runs", responses=_refuses(400, 404))
def list_runs(experiment_id: Id, db: Db, cursor: Cursor = None, limit: Limit = store.PAGE) -> wire.Page[wire.RunItem]:
    """Lists the experiment's runs, newest first."""
    below = _below(cursor)
    with db.read() as session:
        page = _page(store.list_runs(session, experiment_id, below=below, limit=limit))
        return wire.Page[wire.RunItem].model_validate(page)


@router.post(
    "/experiments/{experiment_id}/runs",
    status_code=status.HTTP_201_CREATED,
    responses={**_refuses(404, 413), 200: {"model": wire.RunOut, "description": "the run existed and goes on"}},
)
def create_run(experiment_id: Id, body: wire.RunCreate, db: Db, response: Response) -> wire.RunOut:
    """Creates a run, or resumes the one that has this `external_id`."""
    with db.write() as session:
        run, is_new = store.create_run(session, experiment_id, **dict(body), at=now_ms())
    response.headers["Location"] = f"/runs/{run.id}"
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return wire.RunOut.model_validate(run)


@router.get("/runs/{run_id}", responses=_refuses(404))
def get_run(run_id: Id, db: Db) -> wire.RunOut:
    """The run."""
    with db.read() as session:
        return wire.RunOut.model_validate(store.get_run(session, run_id))


@router.patch("/runs/{run_id}", responses=_refuses(404, 409, 413))
def change_run(run_id: Id, body: wire.RunPatch, db: Db) -> wire.RunOut:
    """Changes a run's status, name or tags."""
    with db.write() as session:
        run = store.change_run(session, run_id, **dict(body), at=now_ms())
    return wire.RunOut.model_validate(run)


@router.post("/runs/{run_id}/metrics", status_code=status.HTTP_201_CREATED, responses=_refuses(404, 413))
def add_points(run_id: Id, body: wire.Batch, db: Db) -> wire.Accepted:
    """Stores points, all or none. A point for a step that is there overwrites it, so sending a batch twice is safe."""
    now = now_ms()
    points = ((p.key, p.step, float(p.value), now if p.at is None else p.at) for p in body.points)
    with db.write() as session:
        return wire.Accepted(accepted=store.add_points(session, run_id, points, at=now))


@router.get("/runs/{run_id}/metrics/{key:path}", responses=_refuses(404))
def get_curve(run_id: Id, key: str, db: Db) -> wire.Curve:
    """One curve, sorted by step."""
    with db.read() as session:
        return wire.Curve.model_validate(store.get_curve(session, run_id, key))


@router.get("/healthz")
async def healthz() -> wire.Health:
    """The process answers. Never touches the database: a slow one is no reason to restart us."""
    return wire.Health(version=__version__)


@router.get("/readyz", responses=_refuses(503))
def readyz(db: Db) -> wire.Health:
    """The process can do its work: the database answers."""
    with db.read() as session:
        store.ping(session)
    return wire.Health(version=__version__)
