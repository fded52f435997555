"""Add users, permissions, webhook calls and scheduled jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _users()
    _permissions("job_permissions", "jobs")
    op.add_column("jobs", sa.Column("restricted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("has_webhooks", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_jobs_restricted",
        "jobs",
        ["seq"],
        sqlite_where=sa.text("restricted = 1"),  # SQLite matches the text of the condition
        postgresql_where=sa.text("restricted"),
    )
    _webhook_calls()
    _scheduled_jobs()
    _permissions("scheduled_job_permissions", "scheduled_jobs")


def _sequence(name: str) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=True, nullable=False)


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=False),
        sa.Column("key_hash", sa.String(length=64)),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("username", name=op.f("pk_users")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_users_key_hash")),
    )
    op.create_table(
        "roles",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_roles")),
    )
    op.create_table(
        "user_roles",
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("username", "role", name=op.f("pk_user_roles")),
        sa.ForeignKeyConstraint(
            ["username"], ["users.username"], name=op.f("fk_user_roles_username"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role"], ["roles.name"], name=op.f("fk_user_roles_role"), ondelete="CASCADE"
        ),
    )


def _permissions(name: str, jobs: str) -> None:
    op.create_table(
        name,
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "kind", "name", name=op.f(f"pk_{name}")),
        sa.ForeignKeyConstraint(
            ["job_id"], [f"{jobs}.id"], name=op.f(f"fk_{name}_job_id"), ondelete="CASCADE"
        ),
    )


def _webhook_calls() -> None:
    op.create_table(
        "webhook_calls",
        _sequence("id"),
        sa.Column("stream", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_calls")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_webhook_calls_due_at"), "webhook_calls", ["due_at"])
    op.create_index(op.f("ix_webhook_calls_stream_id"), "webhook_calls", ["stream", "id"])


def _scheduled_jobs() -> None:
    op.create_table(
        "scheduled_jobs",
        _sequence("seq"),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=256)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.Double()),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_scheduled_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_scheduled_jobs_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_scheduled_jobs_next_at"), "scheduled_jobs", ["next_at"])
