"""Queries: jobs, tasks, logs, nodes, metrics and health."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Connection

from tork_celery.domain.errors import NotFound, Unavailable
from tork_celery.domain.job_filter import NO_FILTER, JobFilter
from tork_celery.domain.logs import LogPart
from tork_celery.domain.model import Job, ListedJob, Task
from tork_celery.domain.node import Node, NodeStatus
from tork_celery.domain.search import Search
from tork_celery.domain.states import JobState, TaskState
from tork_celery.domain.task_filter import TaskFilter
from tork_celery.domain.user import User
from tork_celery.services import queues
from tork_celery.services.context import ServiceContext
from tork_celery.store import job_pages, jobs, logs, nodes, task_pages, tasks

T = TypeVar("T")

_LEASES_UNTIL_HIDDEN = 30  # a node without heartbeats is listed, as DOWN, for this many leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a list. `number` counts from 1; `size` is the most items that a page can have. A page after
    the last one is empty."""

    items: Sequence[T]
    number: int
    size: int
    total_items: int

    @property
    def total_pages(self) -> int:
        return -(-self.total_items // self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Load of the system, as counted in the datastore. Tasks are counted by queue; `cpu_percent` is the mean
    of the nodes that are up."""

    running_jobs: int
    running_tasks: Mapping[str, int]
    queued_tasks: Mapping[str, int]
    online_nodes: int
    cpu_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node with its status and the number of its running tasks."""

    node: Node
    status: NodeStatus
    task_count: int


def job(context: ServiceContext, job_id: str) -> tuple[Job, dict[str, str], list[Task]]:
    """Return a job, the results of its tasks by `var`, and its task runs, in order. Raises NotFound."""
    with context.database.reading() as tx:
        found = jobs.get_with_results(tx, job_id)
        if found is None:
            raise NotFound(f"no job with the id {job_id!r}")
        return *found, tasks.of_job(tx, job_id)


def task(context: ServiceContext, task_id: str) -> tuple[Task, frozenset[str]]:
    """Return a task and the secret values of its job. The id of a first attempt selects the latest attempt.
    Raises NotFound."""
    with context.database.reading() as tx:
        task = tasks.latest_attempt(tx, task_id)
        if task is None:
            raise NotFound(f"no task with the id {task_id!r}")
        return task, jobs.secrets(tx, task.job_id)


def job_page(
    context: ServiceContext,
    search: Search,
    wanted: JobFilter = NO_FILTER,
    *,
    number: int,
    size: int,
    viewer: User | None = None,
) -> Page[ListedJob]:
    """Return a page of the jobs that match a search and a filter and that `viewer` may see, newest first."""
    with context.database.reading() as tx:
        items, total = job_pages.page(tx, search, number=number, size=size, viewer=viewer, wanted=wanted)
    return Page(items=items, number=number, size=size, total_items=total)


def task_page(
    context: ServiceContext, wanted: TaskFilter, *, number: int, size: int, viewer: User | None = None
) -> Page[tuple[Task, frozenset[str]]]:
    """Return a page of the tasks that match a filter and that `viewer` may see, those of the newest jobs
    first, each with the secret values of its job."""
    with context.database.reading() as tx:
        items, total = task_pages.page(tx, wanted, number=number, size=size, viewer=viewer)
        return Page(items=_with_secrets(tx, items), number=number, size=size, total_items=total)


def tasks_of_job(
    context: ServiceContext,
    job_id: str,
    *,
    parent: str | None,
    state: TaskState | None,
    number: int,
    size: int,
) -> Page[tuple[Task, frozenset[str]]]:
    """Return a page of the tasks below a composite, or at the top level of a job, in their order, each with
    the secret values of the job. Raises NotFound."""
    with context.database.reading() as tx:
        if jobs.state(tx, job_id) is None:
            raise NotFound(f"no job with the id {job_id!r}")
        items, total = task_pages.children(tx, job_id, parent=parent, state=state, number=number, size=size)
        return Page(items=_with_secrets(tx, items), number=number, size=size, total_items=total)


def task_log(
    context: ServiceContext, task_id: str, *, number: int, size: int, text: str = ""
) -> Page[LogPart]:
    """Return a page of the log parts of a task that contain `text`, newest first. Raises NotFound."""
    with context.database.reading() as tx:
        latest_id = tasks.latest_attempt_id(tx, task_id)
        if latest_id is None:
            raise NotFound(f"no task with the id {task_id!r}")
        items, total = logs.page_of_task(tx, latest_id, number=number, size=size, text=text)
    return Page(items=items, number=number, size=size, total_items=total)


def attempt_log(
    context: ServiceContext, task_id: str, *, number: int, size: int, text: str = ""
) -> Page[LogPart]:
    """Return a page of the log parts of exactly this attempt, as `task_log` does. Raises NotFound."""
    with context.database.reading() as tx:
        if tasks.get(tx, task_id) is None:
            raise NotFound(f"no task with the id {task_id!r}")
        items, total = logs.page_of_task(tx, task_id, number=number, size=size, text=text)
    return Page(items=items, number=number, size=size, total_items=total)


def job_log(context: ServiceContext, job_id: str, *, number: int, size: int, text: str = "") -> Page[LogPart]:
    """Return a page of the log parts of all tasks of a job that contain `text`, newest first. Raises
    NotFound."""
    with context.database.reading() as tx:
        if jobs.state(tx, job_id) is None:
            raise NotFound(f"no job with the id {job_id!r}")
        items, total = logs.page_of_job(tx, job_id, number=number, size=size, text=text)
    return Page(items=items, number=number, size=size, total_items=total)


def _with_secrets(tx: Connection, items: Sequence[Task]) -> list[tuple[Task, frozenset[str]]]:
    secrets = {job_id: jobs.secrets(tx, job_id) for job_id in {task.job_id for task in items}}
    return [(task, secrets[task.job_id]) for task in items]


def active_nodes(context: ServiceContext) -> list[NodeView]:
    """Return the nodes with a heartbeat in the last 30 leases, whether UP, DOWN or OFFLINE."""
    with context.database.reading() as tx:
        now = context.database.now(tx)
        active = nodes.active(tx, within_s=context.lease_s * _LEASES_UNTIL_HIDDEN)
        task_counts = tasks.count_by_node(tx)
    return [
        NodeView(
            node=node,
            status=node.status(now=now, lease_s=context.lease_s),
            task_count=task_counts.get(node.name, 0),
        )
        for node in active
    ]


def metrics(context: ServiceContext) -> Metrics:
    with context.database.reading() as tx:
        running_jobs = jobs.count(tx, JobState.RUNNING)
    up = [view.node for view in active_nodes(context) if view.status is NodeStatus.UP]
    views = queues.list_queues(context)
    return Metrics(
        running_jobs=running_jobs,
        running_tasks={queue.name: queue.running_tasks for queue in views},
        queued_tasks={queue.name: queue.queued_tasks for queue in views},
        online_nodes=len(up),
        cpu_percent=round(sum(node.cpu_percent for node in up) / len(up), 1) if up else 0.0,
    )


def unavailable_parts(context: ServiceContext) -> dict[str, str]:
    """Return the errors of the parts that do not answer, by the name of the part: datastore, broker."""
    errors = unavailable_datastore(context)
    try:
        context.dispatcher.ping()
    except Unavailable as error:
        errors["broker"] = str(error)
    return errors


def unavailable_datastore(context: ServiceContext) -> dict[str, str]:
    """Return the error of the datastore, by its name, if it does not answer. Without it, no job is accepted.

    A datastore that answers but cannot be written to, or whose disk is full, is unavailable.
    """
    try:
        context.database.require_room()
        with context.database.reading() as tx:
            context.database.now(tx)
    except Unavailable as error:
        return {"datastore": str(error)}
    write_error = context.write_error()
    return {} if write_error is None else {"datastore": write_error}
