"""Add the record of changes that streams of events follow, and the triggers that fill it.

Triggers, because many statements change jobs and tasks. Those of the columns of leases, messages and steps do
not count as changes: no response shows them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_JOB_COLUMNS = ("state", "delete_at", "position", "started_at", "ended_at", "result", "error", "progress")
_TASK_COLUMNS = (
    *("state", "queue", "priority", "node", "losses", "progress", "result", "error", "subjob_id", "size"),
    *("released", "completions", "scheduled_at", "started_at", "ended_at"),
)
_CHANGES = (  # name of the trigger, event, changed columns, and the values to record
    ("job_added", "INSERT ON jobs", (), "'job', new.id, NULL"),
    ("job_changed", "UPDATE OF {columns} ON jobs", _JOB_COLUMNS, "'job', new.id, NULL"),
    ("job_removed", "DELETE ON jobs", (), "'job', old.id, NULL"),
    ("task_added", "INSERT ON tasks", (), "'task', new.job_id, new.id"),
    ("task_changed", "UPDATE OF {columns} ON tasks", _TASK_COLUMNS, "'task', new.job_id, new.id"),
    ("log_part_added", "INSERT ON log_parts", (), "'log', new.job_id, new.task_id"),
)
_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
}

# Only while somebody listens, since commits that notify wait for each other
_NOTIFY = f"""
    IF EXISTS (SELECT FROM change_listeners WHERE until > {_NOW["postgresql"]}) THEN
        PERFORM pg_notify('tork_changes', '');
    END IF;"""


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "changes",
        sa.Column("seq", big, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("task_id", sa.String(length=32)),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
    )
    op.create_table(
        "change_listeners",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_listeners")),
    )
    dialect = op.get_bind().dialect.name
    for name, event, columns, values in _CHANGES:
        _create_trigger(dialect, name, event, columns, values)


def _create_trigger(dialect: str, name: str, event: str, columns: tuple[str, ...], values: str) -> None:
    target = "changes (kind, job_id, task_id, changed_at)"
    record = f"INSERT INTO {target} VALUES ({values}, {_NOW[dialect]});"
    when = "AFTER " + event.format(columns=", ".join(columns))
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    if dialect == "sqlite":
        condition = f"WHEN ({old}) IS NOT ({new})" if columns else ""
        op.execute(f"CREATE TRIGGER record_{name} {when} {condition} BEGIN {record} END")
        return
    condition = f"WHEN (({old}) IS DISTINCT FROM ({new}))" if columns else ""
    op.execute(
        f"CREATE FUNCTION record_{name}() RETURNS trigger LANGUAGE plpgsql "
        f"AS $$ BEGIN {record} {_NOTIFY} RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER record_{name} {when} FOR EACH ROW {condition} EXECUTE FUNCTION record_{name}()"
    )
