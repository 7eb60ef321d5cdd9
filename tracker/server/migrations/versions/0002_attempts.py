"""Each run keeps its attempts, one by one, instead of their number and the last one's id; and its scheduler's job."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


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
