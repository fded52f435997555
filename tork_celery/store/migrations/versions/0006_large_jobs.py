"""Keep each result of a job in a row of its own, and bound what a transaction on a large job writes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ACTIVE = sa.text("state IN ('CREATED', 'PENDING', 'SCHEDULED', 'RUNNING')")
_STOPPING = sa.text("stopping IS NOT NULL")


def upgrade() -> None:
    _move_results()
    op.create_table(
        "composite_items",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("task_id", sa.String(32), primary_key=True),
        sa.Column("first_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("items", sa.JSON, nullable=False),
    )
    op.create_table(
        "task_queues",
        sa.Column("name", sa.String(256), primary_key=True),
        sa.Column("checked_at", sa.Double, nullable=False),
    )
    op.create_index("ix_task_queues_checked_at", "task_queues", ["checked_at"])
    op.execute(
        "INSERT INTO task_queues (name, checked_at) SELECT DISTINCT queue, 0.0 FROM tasks "
        "WHERE queue <> 'default'"
    )
    op.add_column("jobs", sa.Column("version", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("stopping", sa.String(16)))
    op.add_column("jobs", sa.Column("root_id", sa.String(32)))
    op.add_column("jobs", sa.Column("dispatched_tasks", sa.Integer, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("dispatched_chars", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("queues", sa.JSON, nullable=False, server_default="[]"))
    op.create_index(
        "ix_jobs_stopping", "jobs", ["stopping"], sqlite_where=_STOPPING, postgresql_where=_STOPPING
    )
    op.create_index(
        "ix_tasks_active_of_job", "tasks", ["job_id"], sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
    )
    op.add_column("tasks", sa.Column("created_children", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE tasks SET created_children = size WHERE size > 0")


def _move_results() -> None:
    op.create_table(
        "job_results",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("var", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    move = (
        "INSERT INTO job_results (job_id, var, value) SELECT jobs.id, result.key, result.value "
        "FROM jobs, json_each_text(jobs.results) AS result"
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(move.replace("json_each_text", "json_each") if is_sqlite else move)
    op.drop_column("jobs", "results")
