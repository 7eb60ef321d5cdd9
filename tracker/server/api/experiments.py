"""Experiments: made, listed, looked at, exported, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Annotated, Any, Literal

from anyio import CancelScope
from fastapi import Query, Response, status
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from tracker.values import now_ms

from .. import store, wire
from ..auth import Who
from ..db import Database
from ..digits import Id, Limit
from ..store.pages import PAGE
from .route import Cursor, Db, Readers, RunQuery, kept, refuses, router

Mine = Annotated[bool, Query(description="not those of others that an admin sees, too")]
_EXPORT_TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"content": {name: {"schema": {"type": "string"}} for name in _EXPORT_TYPES.values()}}
}


@router.post("/experiments", status_code=status.HTTP_201_CREATED, responses=refuses(409, 413))
def create_experiment(
    body: wire.ExperimentCreate,
    db: Db,
    who: Who,
    response: Response,
) -> wire.ExperimentOut:
    """Creates an experiment; its name is unique among those of its owner."""
    owner, at = who.owner, now_ms() if body.at is None else body.at
    with db.write() as session:
        made = store.experiments.create_experiment(session, body.name, body.description, at, owner)
    response.headers["Location"] = f"/experiments/{made.id}"
    return wire.ExperimentOut.model_validate(made)


@router.get("/experiments", responses=refuses(400))
def list_experiments(
    db: Db, who: Who, name: str | None = None, mine: Mine = False, cursor: Cursor = None, limit: Limit = PAGE
) -> wire.Page[wire.ExperimentItem]:
    """Lists experiments, newest first."""
    with db.read() as session:
        owner = who.owner if mine else who.sees
        page = store.experiments.list_experiments(session, name=name, owner=owner, cursor=cursor, limit=limit)
        return wire.Page[wire.ExperimentItem].model_validate(page)


@router.get("/experiments/{experiment_id}", response_model=wire.ExperimentWithRuns, responses=refuses(400, 404))
def get_experiment(experiment_id: Id, db: Db, query: RunQuery, readers: Readers) -> Response:
    """The experiment and a page of its runs, each with the newest point of each curve."""

    def read() -> bytes:
        with db.read() as session:
            experiment = wire.ExperimentOut.model_validate(store.experiments.get_experiment(session, experiment_id))
            page = store.runs.list_runs(session, experiment_id, **query.model_dump())
            runs_ = wire.Page[wire.RunItem].model_validate(page)
            return wire.ExperimentWithRuns(**dict(experiment), runs=runs_).model_dump_json().encode()

    question = {"experiment": experiment_id, **query.model_dump()}
    return kept(readers.cache.read(question, lambda: [experiment_id], read))


@router.delete("/experiments/{experiment_id}", status_code=status.HTTP_204_NO_CONTENT, responses=refuses(404))
def delete_experiment(experiment_id: Id, db: Db, readers: Readers) -> None:
    """Deletes the experiment with its runs and all their points."""
    with readers.changing(experiment_id=experiment_id), db.write() as session:
        store.experiments.delete_experiment(session, experiment_id)


@router.get("/experiments/{experiment_id}/export", response_class=StreamingResponse, responses=_EXPORT | refuses(404))
def export(experiment_id: Id, db: Db, format: Literal["jsonl", "csv"] = "jsonl") -> Response:
    """The experiment as lines of JSON, which `tracker import` reads, or as a table of its points."""
    blocks = _export(db, experiment_id, store.archive.read_csv if format == "csv" else store.archive.read_lines)
    first = next(blocks)  # what is refused is refused before anything is sent
    headers = {"Content-Disposition": f'attachment; filename="experiment-{experiment_id}.{format}"'}
    return StreamingResponse(_sent(first, blocks), media_type=_EXPORT_TYPES[format], headers=headers)


async def _sent(first: str, rest: Generator[str]) -> AsyncIterator[str]:
    """All of it; when the client leaves before the end, `rest` is closed at once, and with it what it reads from."""
    try:
        yield first
        async for block in iterate_in_threadpool(rest):
            yield block
    finally:
        with CancelScope(shield=True):
            await run_in_threadpool(rest.close)


def _export(db: Database, experiment_id: int, read: Callable[[Session, int], Iterator[str]]) -> Generator[str]:
    """What `read` gives, in blocks, and all of one moment."""
    with db.read() as session:
        yield from store.archive.in_blocks(read(session, experiment_id))
