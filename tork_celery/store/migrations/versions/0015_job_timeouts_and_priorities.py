"""Add the timeout of a job, and the priority that a user gave it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_TIMED = sa.text("timeout_s IS NOT NULL AND state = 'RUNNING'")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("timeout_s", sa.Double()))
    op.add_column("jobs", sa.Column("priority", sa.Integer()))
    op.create_index("ix_jobs_timed", "jobs", ["started_at"], sqlite_where=_TIMED, postgresql_where=_TIMED)
