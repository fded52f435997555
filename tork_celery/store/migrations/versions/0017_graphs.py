"""Add what graphs of tasks need: tasks that wait for others, and the current run of a job.

`jobs.position` was the number of the current top-level task; it becomes the number of those that are done.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_READY = sa.text("unmet = 0")


def upgrade() -> None:
    op.create_table(
        "waiting_tasks",
        sa.Column(
            "job_id",
            sa.String(32),
            sa.ForeignKey("jobs.id", name="fk_waiting_tasks_job_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("parent_id", sa.String(32), primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("unmet", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "parent_id", "index", name="pk_waiting_tasks"),
    )
    op.create_index(
        "ix_waiting_tasks_ready", "waiting_tasks", ["parent_id"], sqlite_where=_READY, postgresql_where=_READY
    )
    op.add_column("tasks", sa.Column("superseded", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("ended_tasks", sa.Integer, nullable=False, server_default="0"))
    op.execute(  # of a job whose output failed, all tasks are done
        "UPDATE jobs SET position = position - 1 WHERE position > 0 AND state <> 'COMPLETED' "
        "AND NOT (state = 'FAILED' AND progress = 100)"
    )
    op.execute("UPDATE jobs SET ended_tasks = position WHERE state IN ('SCHEDULED', 'RUNNING')")
