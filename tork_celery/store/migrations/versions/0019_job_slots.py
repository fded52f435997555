"""Add the key and the limit of the concurrency of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_HOLDING = sa.text("slot_key IS NOT NULL AND state IN ('SCHEDULED', 'RUNNING')")
_WAITING = sa.text("slot_key IS NOT NULL AND state = 'PENDING'")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("slot_key", sa.String(length=256)))
    op.add_column("jobs", sa.Column("slot_limit", sa.Integer()))
    op.create_index(
        "ix_jobs_holding_slot",
        "jobs",
        ["slot_key", "seq"],
        sqlite_where=_HOLDING,
        postgresql_where=_HOLDING,
    )
    op.create_index(
        "ix_jobs_waiting_for_slot",
        "jobs",
        ["slot_key", sa.text("priority DESC"), "seq", "slot_limit"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
