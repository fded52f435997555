"""Add the receiver of webhook calls, and the times at which coordinators looked for due schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    receiver = sa.Column("receiver", sa.String(length=32), nullable=False, server_default="")
    op.add_column("webhook_calls", receiver)
    op.drop_index("ix_webhook_calls_due_at", "webhook_calls")
    op.create_index(
        "ix_webhook_calls_due_at_id_receiver_job_id",
        "webhook_calls",
        ["due_at", "id", "receiver", "job_id"],
    )
    op.create_table(
        "schedule_checks",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("checked_at", sa.Double(), nullable=False),
        sa.Column("down_from", sa.Double(), nullable=False),
        sa.Column("down_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_checks")),
    )
