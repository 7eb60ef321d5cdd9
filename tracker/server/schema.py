"""The tables.

    experiments ──< runs ──< metrics ──< points

A **metric** is one curve: one run, one key. It has a row of its own so that a point need not repeat the run and the
key, and so that the newest value of each curve has a place.
A **point** is (metric, step) -> value. That primary key keeps each curve sorted by step, and makes a repeated point
an update instead of a duplicate: every retry is harmless.

Times are milliseconds since 1970, UTC. A value of NULL is a NaN that was logged: SQLite has no NaN, and in PostgreSQL
NaN would win every max().
"""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tracker.values import LOST_AFTER, MAX_KEY, MAX_NAME, Status, now_ms

# Only INTEGER PRIMARY KEY is SQLite's own row number; a BIGINT one would be a second index.
_Int = BigInteger().with_variant(Integer(), "sqlite")
# Not PostgreSQL's JSONB: it keeps the value and not the text, so that 1e16 would come back as an integer.
_Json = JSON()

# SQLite gives the id of a deleted last row to the next one; a client that still sends to the old run must not meet it.
_NEVER_REUSED = {"sqlite_autoincrement": True}

Id = Annotated[int, mapped_column(_Int, primary_key=True)]
Ms = Annotated[int, mapped_column(BigInteger)]
Name = Annotated[str, mapped_column(String(MAX_NAME))]
Settings = Annotated[dict[str, Any], mapped_column(_Json, default=dict)]


class Base(DeclarativeBase):
    """All tables; `Base.metadata` is what the migrations must lead to."""


class Experiment(Base):
    """Runs that answer one question and are compared with each other."""

    __tablename__ = "experiments"

    id: Mapped[Id]
    name: Mapped[Name]
    owner: Mapped[Name] = mapped_column(default="")
    description: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[Ms]

    # Among one owner's: that somebody else has the name must neither show nor hinder.
    __table_args__ = (UniqueConstraint("owner", "name", name="experiments_name"), _NEVER_REUSED)


class Run(Base):
    """One training, however often it was interrupted and resumed."""

    __tablename__ = "runs"

    id: Mapped[Id]
    experiment_id: Mapped[int] = mapped_column(_Int, ForeignKey("experiments.id", ondelete="CASCADE"))
    external_id: Mapped[str] = mapped_column(String(128))
    name: Mapped[Name]
    status: Mapped[str] = mapped_column(String(16))
    params: Mapped[Settings]
    tags: Mapped[Settings]
    job: Mapped[str | None] = mapped_column(String(MAX_NAME))  # a scheduler's number for what runs it, or ran it last
    attempts: Mapped[list[tuple[str | None, int]]] = mapped_column(_Json, server_default="[]")  # (id, since), by time
    created_at: Mapped[Ms]
    heartbeat_at: Mapped[Ms | None]  # the server's clock, at the last batch
    finished_at: Mapped[Ms | None]
    last_logged_at: Mapped[Ms | None]  # the client's clock, of its newest point: a resumed client goes on from here
    fences: Mapped[list[list[int]]] = mapped_column(_Json, default=list)  # [step, at] of each rewind that still counts

    @property
    def started_at(self) -> int | None:
        """When the first process began to run it."""
        return self.attempts[0][1] if self.attempts else None

    @property
    def restarts(self) -> int:
        """How often another process has gone on with it."""
        return max(0, len(self.attempts) - 1)

    @property
    def changed_at(self) -> int:
        """When it last began or ended, as far as anybody has said."""
        return max(self.attempts[-1][1] if self.attempts else 0, self.finished_at or 0)

    @property
    def lost(self) -> bool:
        """It should be running, and has been silent for too long."""
        return self.status == Status.RUNNING and (self.heartbeat_at or 0) < now_ms() - LOST_AFTER

    __table_args__ = (
        UniqueConstraint("experiment_id", "external_id", name="runs_external_id"),
        CheckConstraint(f"status IN ({', '.join(repr(s.value) for s in Status)})", name="runs_status"),
        # The newest runs of one experiment: seek the experiment, read backwards, stop.
        Index("runs_by_experiment", "experiment_id", "id"),
        # Which running runs have gone silent: only the few that run are in it.
        Index(
            "runs_alive",
            "heartbeat_at",
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        _NEVER_REUSED,
    )


class Metric(Base):
    """One curve of one run, with a copy of its newest point so that a page of runs reads no points at all."""

    __tablename__ = "metrics"

    id: Mapped[Id]
    run_id: Mapped[int] = mapped_column(_Int, ForeignKey("runs.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(MAX_KEY))
    version: Mapped[int] = mapped_column(_Int, default=0)  # rises, per run, with every batch that touched the curve
    last_step: Mapped[Ms | None]
    last_value: Mapped[float | None] = mapped_column(Double)
    last_at: Mapped[Ms | None]
    count: Mapped[Ms | None]  # with min and max: sealed when the run ends, NULL while they could still change
    min: Mapped[float | None] = mapped_column(Double)
    max: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (UniqueConstraint("run_id", "key", name="metrics_key"), _NEVER_REUSED)


class Point(Base):
    """One value at one step of one curve."""

    __tablename__ = "points"

    metric_id: Mapped[int] = mapped_column(_Int, ForeignKey("metrics.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[float | None] = mapped_column(Double)
    logged_at: Mapped[Ms]

    # WITHOUT ROWID: the primary key *is* the table, not a second copy of it.
    __table_args__ = ({"sqlite_with_rowid": False},)


class ApiKey(Base):
    """Who may call. Only a hash is kept, so that a stolen database opens no door."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    name: Mapped[Name]
    owner: Mapped[Name]
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scope: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[Ms]
    revoked_at: Mapped[Ms | None]
    last_used_at: Mapped[Ms | None]  # give or take a minute: not every request writes
