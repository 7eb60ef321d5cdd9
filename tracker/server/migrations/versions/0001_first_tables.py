"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# What schema.py was when this was written: a migration never changes, so it does not import what does.
INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON()
RUNNING = sa.text("status = 'running'")


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", INT, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", INT, primary_key=True),
        sa.Column("experiment_id", INT, sa.ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
        sa.Column("external_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("params", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("attempt", sa.String(128)),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("heartbeat_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("last_logged_at", sa.BigInteger()),
        sa.Column("fences", JSON, nullable=False),
        sa.UniqueConstraint("experiment_id", "external_id", name="runs_external_id"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'finished', 'failed', 'killed', 'preempted')", name="runs_status"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_experiment", "runs", ["experiment_id", "id"])
    op.create_index("runs_alive", "runs", ["heartbeat_at"], sqlite_where=RUNNING, postgresql_where=RUNNING)
    op.create_table(
        "metrics",
        sa.Column("id", INT, primary_key=True),
        sa.Column("run_id", INT, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("version", INT, nullable=False),
        sa.Column("last_step", sa.BigInteger()),
        sa.Column("last_value", sa.Double()),
        sa.Column("last_at", sa.BigInteger()),
        sa.Column("count", sa.BigInteger()),
        sa.Column("min", sa.Double()),
        sa.Column("max", sa.Double()),
        sa.UniqueConstraint("run_id", "key", name="metrics_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "points",
        sa.Column("metric_id", INT, sa.ForeignKey("metrics.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("step", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double()),
        sa.Column("logged_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", INT, primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
    )


def downgrade() -> None:
    for table in ("api_keys", "points", "metrics", "runs", "experiments"):
        op.drop_table(table)
