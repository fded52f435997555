"""Add the audit log, the creators of users, and a check value of the key that encrypts secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_sequence = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", _sequence, primary_key=True, autoincrement=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("username", sa.String(64)),
        sa.Column("address", sa.String(64)),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("detail", sa.String(256)),
        sqlite_autoincrement=True,
    )
    op.add_column("users", sa.Column("created_by", sa.String(64)))
    op.add_column("identity", sa.Column("secret_key_check", sa.Text))
