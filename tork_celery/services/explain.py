"""Explain why a task waits, from what the datastore and the broker say now."""

from dataclasses import replace

from sqlalchemy import Connection

from tork_celery.domain.errors import BrokerUnavailable, NotFound
from tork_celery.domain.explanation import Facts
from tork_celery.domain.states import TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs, nodes, tasks

_LEASES_OF_NODES = 30  # a silent node is known for this many leases


def facts(context: ServiceContext, task_id: str) -> tuple[Facts, frozenset[str]]:
    """Return what is known of a task, and the secret values of its job.

    The id of a first attempt selects the latest attempt. Raises NotFound, DatastoreUnavailable.
    """
    with context.database.reading() as tx:
        found = _stored_facts(context, tx, task_id)
        secrets = jobs.secrets(tx, found.task.job_id)
    if found.task.state is TaskState.SCHEDULED:
        found = replace(found, broker_error=_broker_error(context))
    return found, secrets


def _stored_facts(context: ServiceContext, tx: Connection, task_id: str) -> Facts:
    task = tasks.latest_attempt(tx, task_id)
    job_state = None if task is None else jobs.state(tx, task.job_id)
    if task is None or job_state is None:
        raise NotFound(f"no task with the id {task_id!r}")
    return Facts(
        now=context.database.now(tx),
        task=task,
        attempts=tasks.attempts(tx, task),
        job_state=job_state,
        nodes=nodes.active(tx, within_s=context.lease_s * _LEASES_OF_NODES),
        busy=tasks.count_by_node(tx),
        lease_s=context.lease_s,
        parent=tasks.get(tx, task.parent_id) if task.parent_id else None,
        subjob=jobs.get(tx, task.subjob_id) if task.subjob_id else None,
        before=tasks.count_before(tx, task) if task.state is TaskState.SCHEDULED else None,
    )


def _broker_error(context: ServiceContext) -> str | None:
    try:
        context.dispatcher.ping()
    except BrokerUnavailable as error:
        return str(error)
    return None
