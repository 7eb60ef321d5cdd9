"""Runs: made or resumed, listed, changed, rewound, deleted."""

from __future__ import annotations

from functools import partial

from fastapi import Response, status

from .. import store, wire
from ..auth import Who
from ..db import Database
from ..digits import Id
from .route import Db, Readers, RunQuery, kept, refuses, router, timed


@router.get("/experiments/{experiment_id}/runs", response_model=wire.Page[wire.RunItem], responses=refuses(400, 404))
def list_runs(experiment_id: Id, db: Db, query: RunQuery, readers: Readers) -> Response:
    """Lists the experiment's runs, the newest first or as `sort` says."""
    question = {"runs": experiment_id, **query.model_dump()}
    return kept(readers.cache.read(question, lambda: [experiment_id], partial(_page, db, experiment_id, query)))


@router.post(
    "/experiments/{experiment_id}/runs",
    status_code=status.HTTP_201_CREATED,
    responses={**refuses(404, 413), 200: {"model": wire.RunOut, "description": "the run existed and goes on"}},
)
def create_run(experiment_id: Id, body: wire.RunCreate, db: Db, readers: Readers, response: Response) -> wire.RunOut:
    """Creates a run, or resumes the one that has this `external_id`."""
    with readers.changing(experiment_id=experiment_id), db.write() as session:
        run, is_new = store.runs.create_run(session, experiment_id, **timed(body))
    response.headers["Location"] = f"/runs/{run.id}"
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    return wire.RunOut.model_validate(run)


@router.get("/runs", response_model=wire.Page[wire.RunItem], responses=refuses(400))
def list_all_runs(db: Db, who: Who, query: RunQuery, readers: Readers) -> Response:
    """Lists runs of all experiments, the newest first or as `sort` says; for instance those of one `job`."""
    question = {"runs": None, "owner": who.sees, **query.model_dump()}
    return kept(readers.cache.read(question, lambda: [], partial(_page, db, None, query, who.sees)))


def _page(db: Database, experiment_id: int | None, query: wire.RunQuery, owner: str | None = None) -> bytes:
    with db.read() as session:
        page = store.runs.list_runs(session, experiment_id, owner=owner, **query.model_dump())
        return wire.Page[wire.RunItem].model_validate(page).model_dump_json().encode()


@router.get("/runs/{run_id}", responses=refuses(404))
def get_run(run_id: Id, db: Db) -> wire.RunOut:
    """The run."""
    with db.read() as session:
        return wire.RunOut.model_validate(store.runs.get_run(session, run_id))


@router.patch("/runs/{run_id}", responses=refuses(404, 409, 413))
def change_run(run_id: Id, body: wire.RunPatch, db: Db, readers: Readers) -> wire.RunOut:
    """Changes a run's status, name or tags."""
    with readers.changing(run_id=run_id), db.write() as session:
        run = store.runs.change_run(session, run_id, **timed(body))
    return wire.RunOut.model_validate(run)


@router.delete("/runs/{run_id}", status_code=status.HTTP_204_NO_CONTENT, responses=refuses(404))
def delete_run(run_id: Id, db: Db, readers: Readers) -> None:
    """Deletes the run and all its points."""
    with readers.changing(run_id=run_id), db.write() as session:
        store.runs.delete_run(session, run_id)


@router.post("/runs/{run_id}/rewind", responses=refuses(404, 413))
def rewind(run_id: Id, body: wire.Rewind, db: Db, readers: Readers) -> wire.Rewind:
    """Deletes what was logged after a checkpoint, and keeps what is still on its way from coming back."""
    with readers.changing(run_id=run_id), db.write() as session:
        store.points.rewind(session, run_id, step=body.step, until=body.at)
    return body
