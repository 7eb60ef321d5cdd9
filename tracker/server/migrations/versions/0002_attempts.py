"""Each run keeps its attempts, one by one, instead of their number and the last one's id; and its scheduler's job."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

JSON = sa.JSON()


def upgrade() -> None:
    op.add_column("runs", sa.Column("job", sa.String(200)))
    op.add_column("runs", sa.Column("attempts", JSON, nullable=False, server_default="[]"))
    columns = ("id", "attempt", "restarts", "started_at")
    runs = sa.table("runs", *(sa.column(name) for name in columns), sa.column("attempts", JSON))
    connection = op.get_bind()
    begun = sa.select(*(runs.c[name] for name in columns)).where(runs.c.started_at.is_not(None))
    for run_id, attempt, restarts, started_at in connection.execute(begun).all():
        # The ids and times of those before the last one were not kept.
        attempts = [[None, started_at]] * restarts + [[attempt, started_at]]
        connection.execute(runs.update().where(runs.c.id == run_id).values(attempts=attempts))
    for column in ("attempt", "restarts", "started_at"):
        op.drop_column("runs", column)


def downgrade() -> None:
    op.add_column("runs", sa.Column("attempt", sa.String(128)))
    op.add_column("runs", sa.Column("restarts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("started_at", sa.BigInteger()))
    columns = ("id", "attempt", "restarts", "started_at")
    runs = sa.table("runs", *(sa.column(name) for name in columns), sa.column("attempts", JSON))
    connection = op.get_bind()
    for run_id, attempts in connection.execute(sa.select(runs.c.id, runs.c.attempts)).all():
        if attempts:
            kept = {"attempt": attempts[-1][0], "restarts": len(attempts) - 1, "started_at": attempts[0][1]}
            connection.execute(runs.update().where(runs.c.id == run_id).values(kept))
    op.drop_column("runs", "attempts")
    op.drop_column("runs", "job")
