"""Replace the indexes of sweeps and heartbeats by partial indexes on active rows."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ACTIVE = sa.text("state IN ('CREATED', 'PENDING', 'SCHEDULED', 'RUNNING')")
_RUNNING = sa.text("state = 'RUNNING'")
_SUBJOBS = sa.text("parent_id IS NOT NULL AND state NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')")


def upgrade() -> None:
    op.drop_index("ix_tasks_active", "tasks")
    op.drop_index("ix_jobs_restricted", "jobs")  # no query uses it
    _create("ix_tasks_active", "tasks", ["state", "queue", "sent_at"], where=_ACTIVE)
    _create("ix_tasks_running", "tasks", ["node"], where=_RUNNING)
    _create("ix_jobs_active_subjobs", "jobs", ["parent_id"], where=_SUBJOBS)


def _create(name: str, table: str, columns: list[str], *, where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
