"""Add what a task did with its time."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("marks", sa.Text, nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("note", sa.Text, nullable=False, server_default=""))
