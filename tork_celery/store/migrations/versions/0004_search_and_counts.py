"""Add full-text search, tags and trigger-maintained counts of jobs; move definitions to their own table."""

import sqlalchemy as sa
from alembic import op

from tork_celery.store.migrations import job_triggers

revision = "0004"
down_revision = "0003"

_sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SHOWN = ("name", "description", "tags", "inputs", "schedule")


def upgrade() -> None:
    _move_definitions()
    op.drop_index("ix_jobs_active", "jobs")
    op.create_index(op.f("ix_jobs_state_seq"), "jobs", ["state", "seq"])
    op.create_index(op.f("ix_jobs_ended_at"), "jobs", ["ended_at"])
    _make_tables()
    for statement in job_triggers.statements(op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def _move_definitions() -> None:
    op.create_table(
        "job_definitions",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_definitions_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_definitions")),
    )
    op.execute("INSERT INTO job_definitions (job_id, definition) SELECT id, definition FROM jobs")
    op.add_column("jobs", sa.Column("summary", sa.JSON(), nullable=False, server_default="{}"))
    _summarize()
    op.drop_column("jobs", "definition")


def _summarize() -> None:
    jobs = sa.table("jobs", sa.column("id"), sa.column("definition", sa.JSON), sa.column("summary", sa.JSON))
    for job_id in op.get_bind().scalars(sa.select(jobs.c.id)).all():
        full = op.get_bind().execute(sa.select(jobs.c.definition).where(jobs.c.id == job_id)).scalar_one()
        summary = {key: full[key] for key in _SHOWN if key in full} | {"taskCount": len(full["tasks"])}
        op.execute(sa.update(jobs).where(jobs.c.id == job_id).values(summary=summary))


def _make_tables() -> None:
    op.create_table(
        "job_tags",
        sa.Column("tag", sa.String(length=256), nullable=False),
        sa.Column("seq", _sequence, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tag", "seq", name=op.f("pk_job_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_counts",
        sa.Column("term", sa.String(length=264), nullable=False),
        sa.Column("block", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("term", "block", name=op.f("pk_job_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_count_changes",
        sa.Column("id", _sequence, autoincrement=True, nullable=False),
        sa.Column("term", sa.String(length=264), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_count_changes")),
    )
    op.create_index(op.f("ix_job_count_changes_term"), "job_count_changes", ["term"])
