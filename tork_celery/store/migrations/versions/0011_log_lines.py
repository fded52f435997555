"""Add the step's name, the line, the source, the stderr ranges and the times of log parts.

Earlier parts keep NULL: their times are unknown, and readers derive their line from their position.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("log_parts", sa.Column("step_name", sa.Text))
    op.add_column("log_parts", sa.Column("line", sa.Integer))
    op.add_column("log_parts", sa.Column("source", sa.String(16), nullable=False, server_default="container"))
    op.add_column("log_parts", sa.Column("stderr", sa.JSON))
    op.add_column("log_parts", sa.Column("line_times", sa.JSON))
