"""Add the order in which waiting tasks are sent, and the slots of nodes."""

import json

import sqlalchemy as sa
from alembic import op

from tork_celery.store.encryption import decrypt

revision = "0009"
down_revision = "0008"

_UNSENT = sa.text("state = 'SCHEDULED' AND sent_at IS NULL")
_RETRIES = sa.text("state = 'PENDING'")
_BATCH = 1_000
_tasks = sa.table("tasks", sa.column("id"), sa.column("priority"))


def upgrade() -> None:
    op.add_column("nodes", sa.Column("slots", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("job_created_at", sa.Double, nullable=False, server_default="0"))
    op.execute(  # ended tasks are never sent again
        "UPDATE tasks SET job_created_at = (SELECT jobs.created_at FROM jobs WHERE jobs.id = tasks.job_id) "
        "WHERE state IN ('CREATED', 'PENDING', 'SCHEDULED', 'RUNNING')"
    )
    _store_priorities()
    # All scheduled tasks have a message. Those beyond the windows are sent again later, in order, which
    # does no harm: a claim rejects the second message.
    op.execute("UPDATE tasks SET sent_at = NULL WHERE state = 'SCHEDULED'")
    order: list[str | sa.TextClause] = [
        "queue",
        sa.text("priority DESC"),
        "job_created_at",
        "position",
        "index",
    ]
    op.create_index("ix_tasks_unsent", "tasks", order, sqlite_where=_UNSENT, postgresql_where=_UNSENT)
    op.create_index("ix_tasks_retries", "tasks", ["due_at"], sqlite_where=_RETRIES, postgresql_where=_RETRIES)


def _store_priorities() -> None:
    """Store the priorities of started tasks, which are in their definitions."""
    connection = op.get_bind()
    query = sa.text(
        "SELECT id, CAST(definition AS TEXT) FROM tasks WHERE id > :after "
        "AND state IN ('PENDING', 'SCHEDULED', 'RUNNING') ORDER BY id LIMIT :limit"
    )
    update = sa.update(_tasks).where(_tasks.c.id == sa.bindparam("task_id"))
    update = update.values(priority=sa.bindparam("new_priority"))
    after = ""
    while batch := connection.execute(query, {"after": after, "limit": _BATCH}).all():
        after = batch[-1][0]
        priorities = [(task_id, _priority(connection.dialect, definition)) for task_id, definition in batch]
        rows = [
            {"task_id": task_id, "new_priority": priority} for task_id, priority in priorities if priority
        ]
        if rows:
            connection.execute(update, rows)


def _priority(dialect: sa.Dialect, stored: str) -> int:
    definition = json.loads(stored)
    if isinstance(definition, str):
        definition = json.loads(decrypt(dialect, definition))
    priority = definition.get("priority")
    return priority if isinstance(priority, int) else 0
