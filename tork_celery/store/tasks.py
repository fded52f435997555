"""Tasks in the datastore, and the claims on their steps.

A claim and what becomes of it are compare-and-set statements: they name the delivery and the step that
they are for, and change nothing when the row has moved on.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.states import ACTIVE, ENDED_EARLY, Outcome, TaskState
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import ACTIVE_TASKS, RUNNING_TASKS, jobs, tasks

_PLAIN = tuple(f.name for f in fields(Task) if f.name not in ("definition", "state", "outcome"))
_SAVE = update(tasks).where(tasks.c.id == bindparam("row_id"))


def add(tx: Connection, new: Sequence[Task]) -> None:
    if new:
        tx.execute(insert(tasks), [_values(task) for task in new])


def get(tx: Connection, task_id: str) -> Task | None:
    row = tx.execute(select(tasks).where(tasks.c.id == task_id)).one_or_none()
    return None if row is None else task_of(row)


def latest_attempt(tx: Connection, task_id: str) -> Task | None:
    """The task, or where it is the first attempt of several, the latest one."""
    query = select(tasks).where(or_(tasks.c.id == task_id, tasks.c.first_id == task_id))
    row = tx.execute(query.order_by(tasks.c.attempts.desc()).limit(1)).one_or_none()
    return None if row is None else task_of(row)


def end_active(tx: Connection, job_id: str, *, state: TaskState) -> list[Task]:
    """What of a job is active ends in this state. Returns those of it that have begun: a node has one, or a
    subjob runs for it."""
    query = (
        update(tasks)
        .where(tasks.c.job_id == job_id, tasks.c.state.in_(ACTIVE))
        .values(state=state, step_running=False, ended_at=datastore_now())
        .returning(tasks)
    )
    return [task_of(row) for row in tx.execute(query) if row.node or row.subjob_id]


def created_children(tx: Connection, parent_id: str, *, limit: int) -> list[Task]:
    """Children of a composite whose turn has not come, in order."""
    query = (
        select(tasks)
        .where(tasks.c.parent_id == parent_id, tasks.c.state == TaskState.CREATED)
        .order_by(tasks.c.index)
        .limit(limit)
    )
    return [task_of(row) for row in tx.execute(query)]


def of_job(tx: Connection, job_id: str) -> list[Task]:
    """The task runs of a job, in order."""
    query = (
        select(tasks)
        .where(tasks.c.job_id == job_id)
        .order_by(tasks.c.position, tasks.c.created_at, tasks.c.index)
    )
    return [task_of(row) for row in tx.execute(query)]


def save(tx: Connection, changed: Sequence[Task], *, redefined: Collection[str] = ()) -> None:
    """Store changed tasks. Definitions are stored only for the ids in `redefined`: a composite may have
    thousands of tasks in its definition, and changes with each of them."""
    others = [{"row_id": task.id, **_standing(task)} for task in changed if task.id not in redefined]
    new = [{"row_id": task.id, **_values(task)} for task in changed if task.id in redefined]
    for rows in filter(None, (others, new)):
        tx.execute(_SAVE, rows)


def mark_sent(tx: Connection, task_ids: Sequence[str]) -> None:
    """A message for what is next of these tasks was published now."""
    tx.execute(update(tasks).where(tasks.c.id.in_(task_ids)).values(sent_at=datastore_now()))


# ---------------------------------------------------------------- the claims of a worker


def claim(tx: Connection, ref: StepRef, *, node: str, lease_s: float) -> Task | None:
    """The task, if the step is now this node's to run; None when it is not to be had."""
    now = datastore_now()
    query = (
        update(tasks)
        .where(
            *_at(ref),
            tasks.c.step_running.is_(False),
            tasks.c.outcome.is_(None),
            or_(
                due(),
                and_(tasks.c.state == TaskState.RUNNING, tasks.c.node == node),
            ),
        )
        .values(
            state=TaskState.RUNNING,
            node=node,
            step_running=True,
            lease_until=now + lease_s,
            started_at=func.coalesce(tasks.c.started_at, now),
            scheduled_at=func.coalesce(tasks.c.scheduled_at, now),
        )
        .returning(tasks)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else task_of(row)


def resume(tx: Connection, ref: StepRef, *, node: str, lease_s: float) -> Task | None:
    """The task, with a whole lease from now on, if its step is this node's and runs."""
    query = (
        update(tasks).where(*_held(ref, node)).values(lease_until=datastore_now() + lease_s).returning(tasks)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else task_of(row)


def finish_step(tx: Connection, ref: StepRef, *, node: str, result: str | None, last: bool) -> bool:
    """The step has succeeded: the next one is due or, after the last, the task's outcome is set.

    False when this delivery of the task is not this node's any more; then nothing has changed.
    """
    values: dict[str, Any] = {"step_running": False, "step": tasks.c.step + 1}
    if result is not None:
        values["result"] = result
    if last:
        values |= {"outcome": Outcome.COMPLETED, "ended_at": datastore_now()}
    else:
        values["sent_at"] = datastore_now()
    return _set(tx, ref, node, values)


def fail_step(tx: Connection, ref: StepRef, *, node: str, error: str) -> bool:
    """The step has failed, and with it the task. False as in `finish_step`."""
    values = {"step_running": False, "outcome": Outcome.FAILED, "error": error, "ended_at": datastore_now()}
    return _set(tx, ref, node, values)


def held(tx: Connection, ref: StepRef, *, node: str) -> Task | None:
    """The task, locked, if its step is this node's and runs."""
    row = tx.execute(select(tasks).where(*_held(ref, node)).with_for_update()).one_or_none()
    return None if row is None else task_of(row)


def current(tx: Connection, refs: Iterable[StepRef]) -> set[StepRef]:
    """Those of the steps whose task has had no later delivery. Their jobs cannot be deleted until this
    transaction ends."""
    wanted = set(refs)
    query = (
        select(tasks.c.id, tasks.c.delivery)
        .join(jobs)
        .where(tasks.c.id.in_({ref.task_id for ref in wanted}))
        .with_for_update(of=jobs, read=True, key_share=True)
    )
    deliveries = {row.id: row.delivery for row in tx.execute(query)}
    return {ref for ref in wanted if deliveries.get(ref.task_id) == ref.delivery}


def set_deadline(tx: Connection, ref: StepRef, *, node: str, timeout_s: float) -> float | None:
    """When the task must have ended, by the datastore's clock: fixed by its first container. The seconds left
    until then; None as in `finish_step`."""
    deadline = func.coalesce(tasks.c.deadline_at, datastore_now() + timeout_s)
    query = (
        update(tasks)
        .where(*_held(ref, node))
        .values(deadline_at=deadline)
        .returning(tasks.c.deadline_at - datastore_now())
    )
    return tx.execute(query).scalar_one_or_none()


def ended_early(tx: Connection, task_ids: Sequence[str]) -> set[str]:
    """Those of the tasks that a user has cancelled, or that were stopped with their job."""
    if not task_ids:
        return set()
    query = select(tasks.c.id).where(tasks.c.id.in_(task_ids), tasks.c.state.in_(ENDED_EARLY))
    return set(tx.scalars(query))


# ---------------------------------------------------------------- counts


def count_by_queue(tx: Connection) -> dict[str, tuple[int, int]]:
    """For each queue that has any: how many tasks wait, and how many run."""
    waiting, running = Counter[str](), Counter[str]()
    for state in (TaskState.PENDING, TaskState.SCHEDULED):  # one at a time: they are in order in an index
        waiting.update(_by_queue(tx, ACTIVE_TASKS, tasks.c.state == state))
    running.update(_by_queue(tx, RUNNING_TASKS, tasks.c.node.is_not(None)))  # a composite is in no queue
    return {queue: (waiting[queue], running[queue]) for queue in waiting | running}


def _by_queue(tx: Connection, *conditions: ColumnElement[bool]) -> dict[str, int]:
    query = select(tasks.c.queue, func.count()).where(*conditions).group_by(tasks.c.queue)
    return dict(tx.execute(query).all())


def count_by_node(tx: Connection) -> dict[str, int]:
    query = select(tasks.c.node, func.count()).where(*claimed()).group_by(tasks.c.node)
    return dict(tx.execute(query).all())


# ---------------------------------------------------------------- in common


def _at(ref: StepRef) -> tuple[ColumnElement[bool], ...]:
    return tasks.c.id == ref.task_id, tasks.c.delivery == ref.delivery, tasks.c.step == ref.step


def _held(ref: StepRef, node: str) -> tuple[ColumnElement[bool], ...]:
    return (*_at(ref), *claimed(), tasks.c.node == node, tasks.c.step_running.is_(True))


def claimed() -> tuple[ColumnElement[bool], ...]:
    """It is at work on a node, as a composite that is RUNNING never is."""
    return RUNNING_TASKS, tasks.c.outcome.is_(None), tasks.c.node.is_not(None)


def between() -> tuple[ColumnElement[bool], ...]:
    """It waits, on the node that has begun it, for its next step."""
    return *claimed(), tasks.c.step_running.is_(False)


def due() -> ColumnElement[bool]:
    """Not begun, and free to begin now."""
    return or_(tasks.c.state == TaskState.SCHEDULED, retry_due())


def retry_due() -> ColumnElement[bool]:
    """The time of a retry has come."""
    return and_(tasks.c.state == TaskState.PENDING, tasks.c.due_at <= datastore_now())


def _set(tx: Connection, ref: StepRef, node: str, values: dict[str, Any]) -> bool:
    return tx.execute(update(tasks).where(*_held(ref, node)).values(**values)).rowcount == 1


def _values(task: Task) -> dict[str, Any]:
    return _standing(task) | {"definition": task.definition, "queue": task.queue}


def _standing(task: Task) -> dict[str, Any]:
    plain = {name: getattr(task, name) for name in _PLAIN}
    return plain | {"state": task.state, "outcome": task.outcome}


def task_of(row: Row[Any]) -> Task:
    return Task(
        **{name: getattr(row, name) for name in _PLAIN},
        definition=row.definition,
        state=TaskState(row.state),
        outcome=row.outcome and Outcome(row.outcome),
    )
