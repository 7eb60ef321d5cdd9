"""An experiment's name is unique among those of its owner, and a key knows when it was used last."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# SQLite kept no name for the constraint, PostgreSQL gave it one.
UNNAMED = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
NAMES = {"sqlite": "uq_experiments_name", "postgresql": "experiments_name_key"}


def _go_on_from(newest: int | None) -> None:
    """SQLite made a new table, which would give the ids of deleted last rows once more."""
    if newest is not None:
        connection = op.get_bind()
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'experiments'"))
        connection.execute(
            sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('experiments', :newest)"), {"newest": newest}
        )


def upgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name
    highest = "SELECT seq FROM sqlite_sequence WHERE name = 'experiments'"
    newest = connection.scalar(sa.text(highest)) if dialect == "sqlite" else None
    with op.batch_alter_table(
        "experiments", naming_convention=UNNAMED, table_kwargs={"sqlite_autoincrement": True}
    ) as experiments:
        experiments.drop_constraint(NAMES[dialect], type_="unique")
        experiments.create_unique_constraint("experiments_name", ["owner", "name"])
    _go_on_from(newest)
    op.add_column("api_keys", sa.Column("last_used_at", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("api_keys", "last_used_at")
    connection = op.get_bind()
    dialect = connection.dialect.name
    highest = "SELECT seq FROM sqlite_sequence WHERE name = 'experiments'"
    newest = connection.scalar(sa.text(highest)) if dialect == "sqlite" else None
    with op.batch_alter_table("experiments", table_kwargs={"sqlite_autoincrement": True}) as experiments:
        experiments.drop_constraint("experiments_name", type_="unique")
        experiments.create_unique_constraint(NAMES[dialect], ["name"])
    _go_on_from(newest)
