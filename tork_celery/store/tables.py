"""Tables of the datastore. Values that are queried or locked have columns; the rest is JSON.

Times are seconds since the epoch. Leases use the datastore's clock.
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
from tork_celery.store.column_types import DefinitionType, SecretJson, SecretUrl, SummaryType

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite autoincrements only columns of the type INTEGER PRIMARY KEY
_sequence = BigInteger().with_variant(Integer, "sqlite")

jobs = Table(
    "jobs",
    metadata,
    Column(
        "seq", _sequence, primary_key=True, autoincrement=True
    ),  # lists are in descending order of this key
    Column("id", String(32), nullable=False, unique=True),
    Column("name", String(256), nullable=False),
    Column("state", String(16), nullable=False),
    Column("summary", SummaryType, nullable=False),  # part of the definition that lists show
    Column(
        "secrets", SecretJson, nullable=False, server_default="{}"
    ),  # separate from the definition, which the API returns
    Column("parent_id", String(32)),  # task that waits for this job
    Column("created_by", String(256)),
    Column("delete_at", Double),
    Column("position", Integer, key="done_tasks", nullable=False),
    Column("ended_tasks", Integer, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("result", Text),
    Column("error", Text),
    Column("progress", Double, nullable=False),
    Column("restricted", Boolean, nullable=False, server_default=false()),  # whether it has permissions
    Column("has_webhooks", Boolean, nullable=False, server_default=false()),
    Column("version", Integer, nullable=False, server_default="0"),  # grows with each change of the job
    Column("stopping", String(16)),  # state in which the active tasks of an ended job are still to end
    Column("root_id", String(32)),  # outermost job of a subjob; null in the outermost job itself
    # What expressions have added to an outermost job and its subjobs; the limits are in domain.job_size
    Column("dispatched_tasks", Integer, nullable=False, server_default="0"),
    Column("dispatched_chars", BigInteger, nullable=False, server_default="0"),
    Column("queues", JSON, nullable=False, server_default="[]"),  # names of the queues of its tasks
    Column("schedule_id", String(32)),  # scheduled job that created it
    Column("slot_key", String(256)),  # of the `concurrency` of a job
    Column("slot_limit", Integer),
    Column("rerun_of", String(32)),  # job that runs again as this one; it may have been deleted
    Column("timeout_s", Double),  # counted from started_at
    Column("priority", Integer),  # of its tasks without one of their own, if a user changed it
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

Index(
    "ix_jobs_stopping",
    jobs.c.stopping,
    sqlite_where=jobs.c.stopping.is_not(None),
    postgresql_where=jobs.c.stopping.is_not(None),
)

job_permissions = Table(
    "job_permissions",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(4), primary_key=True),  # user or role
    Column("name", String(64), primary_key=True),
)

# Separate from `jobs`, whose rows change often: SQLite rewrites whole rows.
job_definitions = Table(
    "job_definitions",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("definition", DefinitionType(JobDefinition), nullable=False),
)

# One row for each result: a large result is written once, not with every change of the job.
job_results = Table(
    "job_results",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("var", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# Triggers on `jobs` maintain the next four tables; migration 0004 creates the triggers.
job_tags = Table(
    "job_tags",
    metadata,
    Column("tag", String(256), primary_key=True),
    Column("seq", _sequence, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
job_counts = Table(  # numbers of jobs in all, per tag and per state, for each block of `seq`
    "job_counts",
    metadata,
    Column("term", String(264), primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)
job_count_changes = Table(  # PostgreSQL only: changes to add to job_counts, appended without row locks
    "job_count_changes",
    metadata,
    Column("id", _sequence, primary_key=True, autoincrement=True),
    Column("term", String(264), nullable=False),
    Column("block", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Index(None, "term"),
)
# Not in the metadata: an FTS5 table on SQLite, a table with a tsvector on PostgreSQL. `rowid` is jobs.seq.
job_texts = table("job_texts", column("rowid", Integer), column("text"))

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("job_name", String(256), nullable=False),
    Column("parent_id", String(32)),
    Column("index", Integer, nullable=False, server_default="0"),  # position among the children of its parent
    Column("scope", SecretJson, nullable=False, server_default="{}"),
    Column("size", Integer, nullable=False, server_default="0"),  # number of children of a composite
    Column("released", Integer, key="started_children", nullable=False, server_default="0"),
    Column("created_children", Integer, nullable=False, server_default="0"),
    Column("completions", Integer, nullable=False, server_default="0"),
    Column("concurrency", Integer, nullable=False, server_default="0"),
    Column("subjob_id", String(32)),
    Column("first_id", String(32)),  # first attempt; null in the first attempt itself
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double),  # earliest start of a retry
    Column("position", Integer, nullable=False),
    Column("definition", DefinitionType(TaskDefinition), nullable=False),
    Column("state", String(16), nullable=False),
    Column("queue", String(256), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("delivery", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_running", Boolean, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("outcome", String(16)),
    Column("exit_code", Integer),
    Column("failure_cause", String(16)),
    Column("node", String(256)),
    Column("lease_until", Double),
    Column("deadline_at", Double),
    Column("sent_at", Double),  # last publication of a message for the next step; null: not sent
    Column("created_at", Double, nullable=False),
    Column("job_created_at", Double, nullable=False, server_default="0"),
    Column("scheduled_at", Double),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("result", Text),
    Column("error", Text),
    Column("progress", Double, nullable=False),
    Column("superseded", Boolean, nullable=False, server_default=false()),  # a restart has run it again
    Column("marks", Text, nullable=False, server_default=""),  # `domain.segments` has their form
    Column("note", Text, nullable=False, server_default=""),
    Index(None, "job_id", "position"),
    Index(None, "first_id"),
    Index(None, "parent_id", "state", "index"),
)


composite_items = Table(  # items of an `each` whose children have no rows yet
    "composite_items",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("task_id", String(32), primary_key=True),
    Column("first_index", Integer, primary_key=True, autoincrement=False),
    Column("items", SecretJson, nullable=False),
)

waiting_tasks = Table(  # tasks without rows: one of their needs has ended, or a plan is to start them
    "waiting_tasks",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("parent_id", String(32), primary_key=True),  # of a top-level task the id of the job
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("unmet", Integer, nullable=False),  # number of its needs that have not ended
    Column("failed_need", String(256)),  # name of the task whose failure keeps it from running
)

task_queues = Table(  # queues that may exist in the broker; those that nobody uses are deleted
    "task_queues",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("checked_at", Double, nullable=False),
    Index(None, "checked_at"),
)


def _literals(*states: str) -> list[ColumnElement[str]]:
    return [literal_column(f"'{state}'") for state in states]


# Conditions of partial indexes. They have no bound parameters, because SQLite uses such an index only if a
# query contains its condition literally.
ACTIVE_TASKS = tasks.c.state.in_(_literals("CREATED", "PENDING", "SCHEDULED", "RUNNING"))
RUNNING_TASKS = tasks.c.state == literal_column("'RUNNING'")
SCHEDULED_TASKS = tasks.c.state == literal_column("'SCHEDULED'")
UNSENT_TASKS = and_(SCHEDULED_TASKS, tasks.c.sent_at.is_(None))
READY_TASKS = waiting_tasks.c.unmet == literal_column("0")
WAITING_RETRIES = tasks.c.state == literal_column("'PENDING'")
SENDING_ORDER = (
    tasks.c.priority.desc(),
    tasks.c.job_created_at,
    tasks.c.position,
    tasks.c.index,
)
ACTIVE_SUBJOBS = and_(
    jobs.c.parent_id.is_not(None), jobs.c.state.not_in(_literals("COMPLETED", "FAILED", "CANCELLED"))
)
HOLDING_SLOT = and_(jobs.c.slot_key.is_not(None), jobs.c.state.in_(_literals("SCHEDULED", "RUNNING")))
WAITING_FOR_SLOT = and_(jobs.c.slot_key.is_not(None), jobs.c.state == literal_column("'PENDING'"))
TIMED_JOBS = and_(jobs.c.timeout_s.is_not(None), jobs.c.state == literal_column("'RUNNING'"))
ACTIVE_JOB_STATES = _literals("PENDING", "SCHEDULED", "RUNNING")
ACTIVE_SCHEDULED_JOBS = and_(jobs.c.schedule_id.is_not(None), jobs.c.state.in_(ACTIVE_JOB_STATES))
Index(
    "ix_tasks_active",  # waiting tasks of a queue, in the order in which they were sent
    tasks.c.state,
    tasks.c.queue,
    tasks.c.sent_at,
    sqlite_where=ACTIVE_TASKS,
    postgresql_where=ACTIVE_TASKS,
)
Index(
    "ix_tasks_unsent",  # tasks of a queue to send next
    tasks.c.queue,
    *SENDING_ORDER,
    sqlite_where=UNSENT_TASKS,
    postgresql_where=UNSENT_TASKS,
)
Index(
    "ix_waiting_tasks_ready",  # tasks that a plan is to start
    waiting_tasks.c.parent_id,
    sqlite_where=READY_TASKS,
    postgresql_where=READY_TASKS,
)
Index(
    "ix_tasks_retries",  # retries, those that are due first
    tasks.c.due_at,
    sqlite_where=WAITING_RETRIES,
    postgresql_where=WAITING_RETRIES,
)
Index(
    "ix_tasks_active_of_job",  # tasks to end when their job ends early
    tasks.c.job_id,
    sqlite_where=ACTIVE_TASKS,
    postgresql_where=ACTIVE_TASKS,
)
Index(
    "ix_tasks_running",  # tasks of a node; every heartbeat of every node queries them
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

Index(
    "ix_jobs_holding_slot",
    jobs.c.slot_key,
    jobs.c.seq,
    sqlite_where=HOLDING_SLOT,
    postgresql_where=HOLDING_SLOT,
)
Index(
    "ix_jobs_waiting_for_slot",  # in the order in which they start
    jobs.c.slot_key,
    jobs.c.priority.desc(),
    jobs.c.seq,
    jobs.c.slot_limit,
    sqlite_where=WAITING_FOR_SLOT,
    postgresql_where=WAITING_FOR_SLOT,
)
Index(
    "ix_jobs_timed",
    jobs.c.started_at,
    sqlite_where=TIMED_JOBS,
    postgresql_where=TIMED_JOBS,
)
Index(
    "ix_jobs_active_of_schedule",
    jobs.c.schedule_id,
    jobs.c.seq,
    sqlite_where=ACTIVE_SCHEDULED_JOBS,
    postgresql_where=ACTIVE_SCHEDULED_JOBS,
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
    Column("step_name", Text),
    Column("line", Integer),
    Column("source", String(16), nullable=False, server_default="container"),
    Column("position", JSON, nullable=False),
    Column("contents", Text, nullable=False),
    Column("stderr", JSON(none_as_null=True)),
    Column("line_times", JSON(none_as_null=True)),
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
    Column("slots", Integer, nullable=False, server_default="0"),
    Column("version", String(32), nullable=False),
    Column("cpu_percent", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
    Column("stopped_at", Double),
)

identity = Table(
    "identity",
    metadata,
    Column("cluster", String(32), primary_key=True),  # label of this installation's containers
    Column("secret_key_check", Text),  # a text encrypted with the key of the secrets; null without a key
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
    Column("created_by", String(64)),
)

roles = Table("roles", metadata, Column("name", String(64), primary_key=True))

user_roles = Table(
    "user_roles",
    metadata,
    Column("username", String(64), ForeignKey("users.username", ondelete="CASCADE"), primary_key=True),
    Column("role", String(64), ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
)

audit = Table(  # who changed what; not linked to its targets, which it outlives
    "audit",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),
    Column("created_at", Double, nullable=False),
    Column("username", String(64)),  # null without authentication
    Column("address", String(64)),
    Column("action", String(32), nullable=False),
    Column("target", String(256), nullable=False),
    Column("detail", String(256)),
    sqlite_autoincrement=True,
)

webhook_calls = Table(
    "webhook_calls",
    metadata,
    Column("id", _sequence, primary_key=True, autoincrement=True),
    Column("stream", String(64), nullable=False),  # calls of a stream are delivered in order
    Column("job_id", String(32), nullable=False),  # not a foreign key: a call outlives its job
    Column("event", String(32), nullable=False),
    Column("url", SecretUrl, nullable=False),
    Column("receiver", String(32), nullable=False, server_default=""),  # digest of the URL's host and port
    Column("headers", SecretJson, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double, nullable=False),  # for a claimed call, the end of its lease
    Index(None, "due_at", "id", "receiver", "job_id"),
    Index(None, "stream", "id"),
    sqlite_autoincrement=True,
)

scheduled_jobs = Table(
    "scheduled_jobs",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("definition", SecretJson, nullable=False),
    Column("secrets", SecretJson, nullable=False),
    Column("created_by", String(256)),
    Column("created_at", Double, nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("next_at", Double),  # null while it is paused
    Column("caught_up", Integer, nullable=False, server_default="0"),  # firings made up after a downtime
    Index(None, "next_at"),
    sqlite_autoincrement=True,
)

idempotency_keys = Table(  # first answers to requests with the header Idempotency-Key
    "idempotency_keys",
    metadata,
    Column("owner", String(64), primary_key=True),  # name of the user; empty without authentication
    Column("route", String(256), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),  # of the body
    Column("answer", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "created_at"),
)

scheduled_job_permissions = Table(
    "scheduled_job_permissions",
    metadata,
    Column("job_id", String(32), ForeignKey("scheduled_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(4), primary_key=True),
    Column("name", String(64), primary_key=True),
)

# One row: when a coordinator last looked for due schedules, and the latest time in which none did
schedule_checks = Table(
    "schedule_checks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("checked_at", Double, nullable=False),
    Column("down_from", Double, nullable=False),
    Column("down_until", Double, nullable=False),
)

# Changes of jobs, tasks and logs, for streams of events. Triggers write them; migration 0013 creates these.
# The newest row is never deleted, so on SQLite numbers grow without the cost of AUTOINCREMENT.
changes = Table(
    "changes",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),
    Column("kind", String(4), nullable=False),  # job, task or log
    Column("job_id", String(32), nullable=False),
    Column("task_id", String(32)),
    Column("changed_at", Double, nullable=False),
)
change_listeners = Table(  # PostgreSQL only, one row: until when changes are notified
    "change_listeners",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("until", Double, nullable=False),
)
