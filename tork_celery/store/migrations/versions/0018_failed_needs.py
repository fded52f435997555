"""Add the name of the failed task that keeps a waiting task from running."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("waiting_tasks", sa.Column("failed_need", sa.String(256)))
