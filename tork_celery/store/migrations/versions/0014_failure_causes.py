"""Add the exit code and the cause of a failed task."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("exit_code", sa.Integer()))
    op.add_column("tasks", sa.Column("failure_cause", sa.String(length=16)))
