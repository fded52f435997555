"""Queries of tasks. The claims of nodes are in `store.claims`."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

import structlog
from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain import states
from tork_celery.domain.errors import IllegalTransition, SecretsUnreadable
from tork_celery.domain.explanation import TasksBefore
from tork_celery.domain.model import Task
from tork_celery.domain.states import ACTIVE, ENDED_EARLY, TASK_MOVES, FailureCause, Outcome, TaskState
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import ACTIVE_TASKS, RUNNING_TASKS, SCHEDULED_TASKS, SENDING_ORDER, tasks
from tork_celery.store.task_conditions import claimed

log = structlog.get_logger(__name__)

_PLAIN_FIELDS = tuple(
    f.name for f in fields(Task) if f.name not in ("definition", "state", "outcome", "failure_cause")
)
_plain_fields = attrgetter(*_PLAIN_FIELDS)
_FIXED_FIELDS = frozenset(
    (
        "id",
        "job_id",
        "job_name",
        "position",
        "parent_id",
        "index",
        "scope",
        "first_id",
        "attempts",
        "created_at",
        "job_created_at",
    )
)

# The allowed moves as text ("CREATED>RUNNING"), so that one statement saves tasks in any states.
_MOVE = tasks.c.state + literal_column("'>'") + bindparam("new_state")
_ALLOWED_MOVES: list[ColumnElement[str]] = [
    literal_column(f"'{before}>{after}'") for before, after in TASK_MOVES
]
_INSERT = insert(tasks)
_GET = select(tasks).where(tasks.c.id == bindparam("task_id"))
_ATTEMPTS = select(tasks).where(
    or_(tasks.c.id == bindparam("task_id"), tasks.c.first_id == bindparam("task_id"))
)
_LATEST_ATTEMPT = _ATTEMPTS.order_by(tasks.c.attempts.desc()).limit(1)
_OF_JOB = (
    select(tasks)
    .where(tasks.c.job_id == bindparam("job_id"))
    .order_by(tasks.c.position, tasks.c.created_at, tasks.c.index)
)
_CURRENT_RUN = (
    select(tasks)
    .where(tasks.c.job_id == bindparam("job_id"), tasks.c.parent_id.is_(None), tasks.c.superseded.is_(False))
    .order_by(tasks.c.created_at, tasks.c.attempts)
)
_SAVE = update(tasks).where(
    tasks.c.id == bindparam("row_id"),
    or_(tasks.c.state == bindparam("new_state"), _MOVE.in_(_ALLOWED_MOVES)),
)


def add(tx: Connection, new: Sequence[Task]) -> None:
    if new:
        tx.execute(_INSERT, [_values(task) for task in new])


def get(tx: Connection, task_id: str) -> Task | None:
    row = tx.execute(_GET, {"task_id": task_id}).one_or_none()
    return None if row is None else task_of(row)


def by_ids(tx: Connection, task_ids: Sequence[str]) -> list[Task]:
    """Return the tasks with these ids, in this order. A task that is deleted or cannot be decrypted is left
    out."""
    try:
        rows = {row.id: row for row in tx.execute(select(tasks).where(tasks.c.id.in_(task_ids)))}
    except SecretsUnreadable as error:
        if len(task_ids) == 1:
            log.warning("task.unreadable", task_id=task_ids[0], reason=str(error))
            return []
        return [task for task_id in task_ids for task in by_ids(tx, [task_id])]
    return [task_of(rows[task_id]) for task_id in task_ids if task_id in rows]


def latest_attempt(tx: Connection, task_id: str) -> Task | None:
    """Return the task or, for the first of several attempts, the latest attempt."""
    row = tx.execute(_LATEST_ATTEMPT, {"task_id": task_id}).one_or_none()
    return None if row is None else task_of(row)


def attempts(tx: Connection, task: Task) -> list[Task]:
    """Return the attempts of a task that are not after this one, in order."""
    first_id = task.first_id or task.id
    query = select(tasks).where(
        or_(tasks.c.id == first_id, tasks.c.first_id == first_id), tasks.c.attempts <= task.attempts
    )
    return [task_of(row) for row in tx.execute(query.order_by(tasks.c.attempts))]


def count_before(tx: Connection, task: Task) -> TasksBefore:
    """Count the scheduled tasks of the same queue that workers take before this one."""
    order = tuple_(*(column for column in SENDING_ORDER[1:]))
    own_place = (task.job_created_at, task.position, task.index)
    higher = tasks.c.priority > task.priority
    older = and_(tasks.c.priority == task.priority, order < own_place)
    query = select(func.count().filter(higher), func.count().filter(older)).where(
        ACTIVE_TASKS, SCHEDULED_TASKS, tasks.c.queue == task.queue
    )
    higher_priority, older_tasks = tx.execute(query).one()
    return TasksBefore(higher_priority=higher_priority, older=older_tasks)


def latest_attempt_id(tx: Connection, task_id: str) -> str | None:
    """Return the id of the task or, for the first of several attempts, of the latest attempt."""
    return tx.scalar(_LATEST_ATTEMPT.with_only_columns(tasks.c.id), {"task_id": task_id})


def attempt_ids(tx: Connection, task_id: str) -> list[str]:
    """Return the ids of the task and, for the first of several attempts, of the later ones, in order."""
    query = _ATTEMPTS.with_only_columns(tasks.c.id).order_by(tasks.c.attempts)
    return list(tx.scalars(query, {"task_id": task_id}))


def active(tx: Connection, job_id: str, *, limit: int, running_first: bool = False) -> list[Task]:
    """Return up to `limit` active tasks of a job, in any order or those that are RUNNING first.

    The order costs a look at all active tasks of the job.
    """
    of_job = select(tasks).where(tasks.c.job_id == job_id, ACTIVE_TASKS)
    if not running_first:
        return [task_of(row) for row in tx.execute(of_job.limit(limit))]
    running = tx.execute(of_job.where(RUNNING_TASKS).limit(limit)).all()
    waiting = tx.execute(of_job.where(~RUNNING_TASKS).limit(limit - len(running))).all()
    return [task_of(row) for row in (*running, *waiting)]


def active_in_ended_composites(tx: Connection, job_id: str, *, limit: int) -> list[Task]:
    """Return up to `limit` active tasks of a job that are children of composites that have ended."""
    parents = tasks.alias()
    has_ended = exists().where(parents.c.id == tasks.c.parent_id, parents.c.state.not_in(ACTIVE))
    query = select(tasks).where(tasks.c.job_id == job_id, ACTIVE_TASKS, has_ended)
    return [task_of(row) for row in tx.execute(query.limit(limit))]


def end_active(tx: Connection, read: Sequence[Task], *, state: TaskState) -> list[Task]:
    """End tasks that were read before in `state`, CANCELLED or STOPPED, unless they are no longer active.

    Returns the ended tasks. A node may have claimed them after they were read.
    """
    by_id = {task.id: task for task in read}
    query = (
        update(tasks)
        .where(tasks.c.id.in_(by_id), tasks.c.state.in_(states.sources(state)))
        .values(state=state, step_running=False, ended_at=datastore_now())
        .returning(tasks.c.id, tasks.c.node, tasks.c.delivery)
    )
    ended = tx.execute(query).all() if by_id else []
    return [replace(by_id[row.id], state=state, node=row.node, delivery=row.delivery) for row in ended]


def created_children(tx: Connection, parent_id: str, *, limit: int) -> list[Task]:
    """Return the first children of a composite that have not started, by index."""
    query = (
        select(tasks)
        .where(tasks.c.parent_id == parent_id, tasks.c.state == TaskState.CREATED)
        .order_by(tasks.c.index)
        .limit(limit)
    )
    return [task_of(row) for row in tx.execute(query)]


def of_job(tx: Connection, job_id: str) -> list[Task]:
    """Return all tasks of a job, in order of position, creation and index."""
    return [task_of(row) for row in tx.execute(_OF_JOB, {"job_id": job_id})]


def current_run(tx: Connection, job_id: str) -> list[Task]:
    """Return the top-level tasks of the current run of a job, those of a position in order of creation."""
    return [task_of(row) for row in tx.execute(_CURRENT_RUN, {"job_id": job_id})]


def supersede(tx: Connection, job_id: str, positions: Sequence[int]) -> None:
    """Mark the top-level tasks at these positions as not belonging to the current run of their job."""
    if positions:
        of_list = tasks.c.job_id == job_id, tasks.c.parent_id.is_(None)
        tx.execute(update(tasks).where(*of_list, tasks.c.position.in_(positions)).values(superseded=True))


def save(tx: Connection, changed: Sequence[Task], *, redefined: Collection[str] = ()) -> None:
    """Store changed tasks. Definitions are stored only for the ids in `redefined`.

    The definition of a composite may have thousands of tasks, and the composite changes with each of them.
    Raises IllegalTransition if `TASK_MOVES` does not have the move from the stored state.
    """
    plain = [_parameters(task, _mutable_values(task)) for task in changed if task.id not in redefined]
    full = [_parameters(task, _values(task)) for task in changed if task.id in redefined]
    saved = sum(tx.execute(_SAVE, rows).rowcount for rows in (plain, full) if rows)
    if saved != len(changed):
        _raise_illegal(tx, changed)


def mark_sent(tx: Connection, task_ids: Sequence[str]) -> None:
    """Store that messages for these tasks were published now."""
    tx.execute(update(tasks).where(tasks.c.id.in_(task_ids)).values(sent_at=datastore_now()))


def ended_early(tx: Connection, task_ids: Sequence[str]) -> dict[str, TaskState]:
    """Return the states, by id, of the tasks that a user cancelled or that were stopped with their job."""
    if not task_ids:
        return {}
    query = select(tasks.c.id, tasks.c.state).where(tasks.c.id.in_(task_ids), tasks.c.state.in_(ENDED_EARLY))
    return {row.id: TaskState(row.state) for row in tx.execute(query)}


def count_by_queue(tx: Connection) -> dict[str, tuple[int, int]]:
    """Return (waiting, running) numbers of tasks for each queue that has any.

    Retries that are not due do not count as waiting.
    """
    waiting = Counter(_count_by_queue(tx, ACTIVE_TASKS, SCHEDULED_TASKS))
    running = Counter(_count_by_queue(tx, RUNNING_TASKS, tasks.c.node.is_not(None)))  # not composites
    return {queue: (waiting[queue], running[queue]) for queue in waiting | running}


def count_by_node(tx: Connection) -> dict[str, int]:
    """Return the number of claimed tasks for each node that has any."""
    query = select(tasks.c.node, func.count()).where(*claimed()).group_by(tasks.c.node)
    return dict(tx.execute(query).all())


def task_of(row: Row[Any]) -> Task:
    """Return the task of a row. The column of the priority prevails, which a user may have changed.

    Tasks that ended before version 0.2.0 have none there.
    """
    task = _task_of(row)
    if row.priority == task.priority or not (row.priority or task.state.active):
        return task
    return replace(task, definition=replace(task.definition, priority=row.priority))


def _task_of(row: Row[Any]) -> Task:
    return Task(
        **dict(zip(_PLAIN_FIELDS, _plain_fields(row), strict=True)),
        definition=row.definition,
        state=TaskState(row.state),
        outcome=row.outcome and Outcome(row.outcome),
        failure_cause=row.failure_cause and FailureCause(row.failure_cause),
    )


def _count_by_queue(tx: Connection, *conditions: ColumnElement[bool]) -> dict[str, int]:
    query = select(tasks.c.queue, func.count()).where(*conditions).group_by(tasks.c.queue)
    return dict(tx.execute(query).all())


def _parameters(task: Task, values: dict[str, Any]) -> dict[str, Any]:
    return {"row_id": task.id, "new_state": task.state, **values}


def _values(task: Task) -> dict[str, Any]:
    fixed = {name: getattr(task, name) for name in _FIXED_FIELDS}
    defined = {"definition": task.definition, "queue": task.queue, "priority": task.priority}
    return fixed | _mutable_values(task) | defined


def _mutable_values(task: Task) -> dict[str, Any]:
    plain = {name: getattr(task, name) for name in _PLAIN_FIELDS if name not in _FIXED_FIELDS}
    return plain | {"state": task.state, "outcome": task.outcome, "failure_cause": task.failure_cause}


def _raise_illegal(tx: Connection, changed: Sequence[Task]) -> None:
    query = select(tasks.c.id, tasks.c.state).where(tasks.c.id.in_([task.id for task in changed]))
    stored: dict[str, str] = dict(tx.execute(query).all())
    for task in changed:
        if task.id not in stored:
            raise LookupError(f"task {task.id} is not stored")
        if stored[task.id] != task.state:
            raise IllegalTransition(f"task {task.id} cannot move from {stored[task.id]} to {task.state}")
