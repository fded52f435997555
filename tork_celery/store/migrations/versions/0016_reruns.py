"""Add the job that runs again as a new one."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rerun_of", sa.String(length=32)))
