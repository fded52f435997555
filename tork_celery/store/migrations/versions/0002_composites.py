"""Add composites, subjobs, secrets and the deletion of ended jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COUNTERS = ("index", "size", "released", "completions", "concurrency")
_ACTIVE = sa.text("state IN ('PENDING', 'SCHEDULED', 'RUNNING')")
_TO_DELETE = sa.text("delete_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("secrets", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("jobs", sa.Column("parent_id", sa.String(length=32)))
    op.add_column("jobs", sa.Column("created_by", sa.String(length=256)))
    op.add_column("jobs", sa.Column("delete_at", sa.Double()))
    op.create_index("ix_jobs_active", "jobs", ["state"], sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
    op.create_index(
        "ix_jobs_delete_at", "jobs", ["delete_at"], sqlite_where=_TO_DELETE, postgresql_where=_TO_DELETE
    )
    for name in _COUNTERS:
        op.add_column("tasks", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("scope", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("tasks", sa.Column("subjob_id", sa.String(length=32)))
    op.create_index(op.f("ix_tasks_parent_id_state_index"), "tasks", ["parent_id", "state", "index"])
