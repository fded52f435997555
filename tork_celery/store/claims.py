"""Claims of nodes on steps.

Each statement is a compare-and-set: it names the delivery and the step, and changes nothing once the row has
moved past them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Update, and_, exists, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.segments import SegmentKind
from tork_celery.domain.states import ACTIVE, ACTIVE_JOBS, FailureCause, Outcome, TaskState
from tork_celery.domain.step_report import RecentMark
from tork_celery.store.database import datastore_now
from tork_celery.store.step_reports import with_marks
from tork_celery.store.tables import jobs, tasks
from tork_celery.store.task_conditions import claimed
from tork_celery.store.tasks import task_of


def claim(tx: Connection, ref: StepRef, *, node: str, lease_s: float) -> Task | None:
    """Claim a step for the node. Returns the task, or None if the step cannot be claimed.

    Any node may claim the first step of a scheduled task. The next steps belong to the node that ran the
    first one. No step of an ended job or composite is claimed, although tasks of a large one end some time
    after it.
    """
    now = datastore_now()
    may_start = tasks.c.state == TaskState.SCHEDULED
    may_continue = and_(tasks.c.state == TaskState.RUNNING, tasks.c.node == node)
    parents = tasks.alias()
    parent_has_ended = exists().where(parents.c.id == tasks.c.parent_id, parents.c.state.not_in(ACTIVE))
    job_is_active = exists().where(jobs.c.id == tasks.c.job_id, jobs.c.state.in_(ACTIVE_JOBS))
    query = (
        update(tasks)
        .where(
            *_is_at(ref),
            tasks.c.step_running.is_(False),
            tasks.c.outcome.is_(None),
            or_(may_start, may_continue),
            job_is_active,
            ~parent_has_ended,
        )
        .values(
            state=TaskState.RUNNING,
            node=node,
            step_running=True,
            lease_until=now + lease_s,
            started_at=func.coalesce(tasks.c.started_at, now),
            marks=with_marks([RecentMark(kind=SegmentKind.STARTING, ago_s=0.0, reason=f"on {node}")]),
        )
    )
    return _updated(tx, query)


def resume(tx: Connection, ref: StepRef, *, node: str, lease_s: float) -> Task | None:
    """Renew the lease of a running step that the node adopts.

    Returns the task, or None if the node does not hold the step.
    """
    query = update(tasks).where(*_is_held(ref, node)).values(lease_until=datastore_now() + lease_s)
    return _updated(tx, query)


def complete_step(
    tx: Connection,
    ref: StepRef,
    *,
    node: str,
    result: str | None,
    last: bool,
    marks: Sequence[RecentMark] = (),
) -> bool:
    """Record the success of a step. The next step is due then; after the last one, the outcome is set.

    Returns False, and changes nothing, if the node does not hold the step.
    """
    values: dict[str, Any] = {"step": tasks.c.step + 1}
    if result is not None:
        values["result"] = result
    if last:
        values |= {"outcome": Outcome.COMPLETED, "ended_at": datastore_now()}
    else:
        values["sent_at"] = datastore_now()
        marks = (*marks, RecentMark(kind=SegmentKind.BETWEEN_STEPS, ago_s=0.0))
    return _end_step(tx, ref, node, values, marks)


def fail_step(
    tx: Connection,
    ref: StepRef,
    *,
    node: str,
    error: str,
    exit_code: int | None = None,
    cause: FailureCause | None = None,
    marks: Sequence[RecentMark] = (),
) -> bool:
    """Record the failure of a step as the outcome of its task. Returns False as `complete_step` does."""
    values = {
        "outcome": Outcome.FAILED,
        "error": error,
        "exit_code": exit_code,
        "failure_cause": cause,
        "ended_at": datastore_now(),
    }
    return _end_step(tx, ref, node, values, marks)


def lock_held(tx: Connection, ref: StepRef, *, node: str) -> Task | None:
    """Return the task, with its row locked, or None if the node does not hold the step."""
    row = tx.execute(select(tasks).where(*_is_held(ref, node)).with_for_update()).one_or_none()
    return None if row is None else task_of(row)


def set_deadline(tx: Connection, ref: StepRef, *, node: str, timeout_s: float) -> float | None:
    """Set the deadline of a task, unless an earlier step has set it, and return the seconds left until then.

    Returns None if the node does not hold the step.
    """
    deadline = func.coalesce(tasks.c.deadline_at, datastore_now() + timeout_s)
    query = (
        update(tasks)
        .where(*_is_held(ref, node))
        .values(deadline_at=deadline)
        .returning(tasks.c.deadline_at - datastore_now())
    )
    return tx.execute(query).scalar_one_or_none()


def current_refs(tx: Connection, refs: Iterable[StepRef]) -> set[StepRef]:
    """Return the refs whose delivery is the current one of its task.

    The jobs of these tasks are locked against deletion until this transaction ends.
    """
    refs = set(refs)
    query = (
        select(tasks.c.id, tasks.c.delivery)
        .join(jobs)
        .where(tasks.c.id.in_({ref.task_id for ref in refs}))
        .with_for_update(of=jobs, read=True, key_share=True)
    )
    deliveries = {row.id: row.delivery for row in tx.execute(query)}
    return {ref for ref in refs if deliveries.get(ref.task_id) == ref.delivery}


def _is_at(ref: StepRef) -> tuple[ColumnElement[bool], ...]:
    return tasks.c.id == ref.task_id, tasks.c.delivery == ref.delivery, tasks.c.step == ref.step


def _is_held(ref: StepRef, node: str) -> tuple[ColumnElement[bool], ...]:
    return (*_is_at(ref), *claimed(), tasks.c.node == node, tasks.c.step_running.is_(True))


def _updated(tx: Connection, query: Update) -> Task | None:
    row = tx.execute(query.returning(tasks)).one_or_none()
    return None if row is None else task_of(row)


def _end_step(
    tx: Connection, ref: StepRef, node: str, values: dict[str, Any], marks: Sequence[RecentMark]
) -> bool:
    query = update(tasks).where(*_is_held(ref, node))
    query = query.values(step_running=False, note="", marks=with_marks(marks), **values)
    return tx.execute(query).rowcount == 1
