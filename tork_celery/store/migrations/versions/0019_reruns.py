"""Add the job that runs again as a new one."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rerun_of", sa.String(length=32)))
