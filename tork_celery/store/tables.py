"""The tables. A column for what is queried or locked; the rest is JSON.

Times are seconds since the epoch, by the datastore's clock where leases are concerned.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    column,
    false,
    literal_column,
    table,
)
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.store.column_types import DefinitionType

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite only numbers rows by itself in a column that is exactly INTEGER PRIMARY KEY
_sequence = BigInteger().with_variant(Integer, "sqlite")

jobs = Table(
    "jobs",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),  # newest first is a walk down this key
    Column("id", String(32), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("state", String(16), nullable=False),
    Column("summary", JSON, nullable=False),  # of the definition: what lists show
    Column("secrets", JSON, nullable=False, server_default="{}"),  # apart from the definition, which is shown
    Column("results", JSON, nullable=False),
    Column("parent_id", String(32)),  # of the task that waits for this job
    Column("created_by", String(256)),
    Column("delete_at", Double),
    Column("position", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("result", Text),
    Column("error", Text),
    Column("progress", Double, nullable=False),
    Column("restricted", Boolean, nullable=False, server_default=false()),  # it has permissions
    Column("has_webhooks", Boolean, nullable=False, server_default=false()),
    Index(None, "state", "seq"),
    Index(None, "ended_at"),
    sqlite_autoincrement=True,
)
Index(
    "ix_jobs_delete_at",
    jobs.c.delete_at,
    sqlite_where=jobs.c.delete_at.is_not(None),
    postgresql_where=jobs.c.delete_at.is_not(None),
)

job_permissions = Table(
    "job_permissions",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(4), primary_key=True),  # user or role
    Column("name", String(64), primary_key=True),
)

# Apart from the jobs, whose rows change often: SQLite writes a row as a whole.
job_definitions = Table(
    "job_definitions",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("definition", DefinitionType(JobDefinition), nullable=False),
)

# The next four are kept by triggers on `jobs`, which migration 0004 makes.
job_tags = Table(
    "job_tags",
    metadata,
    Column("tag", String(256), primary_key=True),
    Column("seq", _sequence, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
job_counts = Table(  # how many jobs there are, and how many of a tag or state, in each block of `seq`
    "job_counts",
    metadata,
    Column("term", String(264), primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)
job_count_changes = Table(  # what is to be added to them: on PostgreSQL nobody waits for a count's row
    "job_count_changes",
    metadata,
    Column("id", _sequence, primary_key=True, autoincrement=True),
    Column("term", String(264), nullable=False),
    Column("block", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Index(None, "term"),
)
# Not of the metadata: of FTS5 on SQLite, a plain one with a tsvector on PostgreSQL. `rowid` is a job's seq.
job_texts = table("job_texts", column("rowid", Integer), column("text"))

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("job_name", String(256), nullable=False),
    Column("parent_id", String(32)),
    Column("index", Integer, nullable=False, server_default="0"),  # in its parent
    Column("scope", JSON, nullable=False, server_default="{}"),
    Column("size", Integer, nullable=False, server_default="0"),  # of a composite: its children
    Column("released", Integer, key="started_children", nullable=False, server_default="0"),
    Column("completions", Integer, nullable=False, server_default="0"),
    Column("concurrency", Integer, nullable=False, server_default="0"),
    Column("subjob_id", String(32)),
    Column("first_id", String(32)),  # of the first attempt, on the later ones
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double),  # when a retry may begin
    Column("position", Integer, nullable=False),
    Column("definition", DefinitionType(TaskDefinition), nullable=False),
    Column("state", String(16), nullable=False),
    Column("queue", String(256), nullable=False),
    Column("delivery", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_running", Boolean, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("outcome", String(16)),
    Column("node", String(256)),
    Column("lease_until", Double),
    Column("deadline_at", Double),
    Column("sent_at", Double),  # when a message for what is next was last published
    Column("created_at", Double, nullable=False),
    Column("scheduled_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("result", Text),
    Column("error", Text),
    Column("progress", Double, nullable=False),
    Index(None, "job_id", "position"),
    Index(None, "first_id"),
    Index(None, "parent_id", "state", "index"),
)


def _words(*states: str) -> list[ColumnElement[str]]:
    return [literal_column(f"'{state}'") for state in states]


# Conditions of partial indexes, without parameters: SQLite uses such an index only for a query that has its
# condition word for word.
ACTIVE_TASKS = tasks.c.state.in_(_words("CREATED", "PENDING", "SCHEDULED", "RUNNING"))
RUNNING_TASKS = tasks.c.state == literal_column("'RUNNING'")
ACTIVE_SUBJOBS = and_(
    jobs.c.parent_id.is_not(None), jobs.c.state.not_in(_words("COMPLETED", "FAILED", "CANCELLED"))
)
Index(
    "ix_tasks_active",  # what waits in a queue, longest first
    tasks.c.state,
    tasks.c.queue,
    tasks.c.sent_at,
    sqlite_where=ACTIVE_TASKS,
    postgresql_where=ACTIVE_TASKS,
)
Index(
    "ix_tasks_running",  # what a node has, which each of a thousand asks for every two seconds
    tasks.c.node,
    sqlite_where=RUNNING_TASKS,
    postgresql_where=RUNNING_TASKS,
)
Index(
    "ix_jobs_active_subjobs",
    jobs.c.parent_id,
    sqlite_where=ACTIVE_SUBJOBS,
    postgresql_where=ACTIVE_SUBJOBS,
)

log_parts = Table(
    "log_parts",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("task_id", String(32), nullable=False),
    Column("number", Integer, nullable=False),
    Column("delivery", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("position", JSON, nullable=False),
    Column("contents", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "task_id", "number", unique=True),
    Index(None, "job_id", "seq"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("instance", String(32), nullable=False),
    Column("hostname", String(256), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("port", Integer, nullable=False),
    Column("queues", JSON, nullable=False),
    Column("version", String(32), nullable=False),
    Column("cpu_percent", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("stopped_at", Double),
)

identity = Table(
    "identity",
    metadata,
    Column("cluster", String(32), primary_key=True),  # tells this installation's containers from another's
)

users = Table(
    "users",
    metadata,
    Column("username", String(64), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("password_hash", String(256), nullable=False),
    Column("key_hash", String(64), unique=True),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

roles = Table("roles", metadata, Column("name", String(64), primary_key=True))

user_roles = Table(
    "user_roles",
    metadata,
    Column("username", String(64), ForeignKey("users.username", ondelete="CASCADE"), primary_key=True),
    Column("role", String(64), ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
)

webhook_calls = Table(
    "webhook_calls",
    metadata,
    Column("id", _sequence, primary_key=True, autoincrement=True),
    Column("stream", String(64), nullable=False),  # of calls that go out one after the other
    Column("job_id", String(32), nullable=False),  # no foreign key: a call outlives its job
    Column("event", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double, nullable=False),  # of one that is being made: when it is given to somebody else
    Index(None, "due_at"),
    Index(None, "stream", "id"),
    sqlite_autoincrement=True,
)

scheduled_jobs = Table(
    "scheduled_jobs",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("definition", JSON, nullable=False),
    Column("secrets", JSON, nullable=False),
    Column("created_by", String(256)),
    Column("created_at", Double, nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("next_at", Double),  # none while it is paused
    Index(None, "next_at"),
    sqlite_autoincrement=True,
)

scheduled_job_permissions = Table(
    "scheduled_job_permissions",
    metadata,
    Column("job_id", String(32), ForeignKey("scheduled_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(4), primary_key=True),
    Column("name", String(64), primary_key=True),
)
