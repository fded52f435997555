"""Add the scheduled job of a job, and the number of firings that a scheduled job has made up."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_ACTIVE = sa.text("schedule_id IS NOT NULL AND state IN ('PENDING', 'SCHEDULED', 'RUNNING')")


def upgrade() -> None:
    # Jobs of earlier versions keep null: their schedules allow jobs to overlap.
    op.add_column("jobs", sa.Column("schedule_id", sa.String(length=32)))
    op.add_column("scheduled_jobs", sa.Column("caught_up", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(
        "ix_jobs_active_of_schedule",
        "jobs",
        ["schedule_id", "seq"],
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )
