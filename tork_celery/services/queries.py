"""What can be seen: jobs, tasks, logs, nodes, queues, and whether the system is well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tork_celery.domain.errors import NotFound, Unavailable
from tork_celery.domain.logs import LogPart
from tork_celery.domain.model import Job, ListedJob, Task
from tork_celery.domain.node import Node, NodeStatus
from tork_celery.domain.queue_names import DEFAULT_QUEUE, LONGEST_NAME
from tork_celery.domain.search import Search
from tork_celery.domain.states import JobState
from tork_celery.domain.user import User
from tork_celery.services.context import ServiceContext
from tork_celery.store import job_pages, jobs, logs, nodes, tasks

T = TypeVar("T")

_SHOWN_FOR_LEASES = 30  # a node that is gone is shown as DOWN for so many leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`number` counts from 1, `size` is the most that it may have. A page past the last one is empty."""

    items: Sequence[T]
    number: int
    size: int
    total_items: int

    @property
    def total_pages(self) -> int:
        return -(-self.total_items // self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """Counted in the datastore: tasks that wait, live nodes that serve the queue, tasks that run."""

    name: str
    size: int
    subscribers: int
    unacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How busy the system is, by the datastore; tasks by queue, `cpu_percent` the mean over the nodes."""

    running_jobs: int
    running_tasks: Mapping[str, int]
    waiting_tasks: Mapping[str, int]
    online_nodes: int
    cpu_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node, whether it is there, and how many tasks it has."""

    node: Node
    status: NodeStatus
    task_count: int


def job(context: ServiceContext, job_id: str) -> tuple[Job, list[Task]]:
    """A job and its task runs, in order. Raises NotFound."""
    with context.database.reading() as tx:
        found = jobs.get(tx, job_id)
        if found is None:
            raise NotFound(f"there is no job {job_id!r}")
        return found, tasks.of_job(tx, job_id)


def task(context: ServiceContext, task_id: str) -> tuple[Task, set[str]]:
    """The task, and the values of its job that are not to be shown; the id of a first attempt answers for the
    latest one. Raises NotFound."""
    with context.database.reading() as tx:
        found = tasks.latest_attempt(tx, task_id)
        if found is None:
            raise NotFound(f"there is no task {task_id!r}")
        return found, jobs.secrets(tx, found.job_id)


def job_page(
    context: ServiceContext, search: Search, *, number: int, size: int, viewer: User | None = None
) -> Page[ListedJob]:
    """Of the jobs that are searched for those that `viewer` may see, the newest first."""
    with context.database.reading() as tx:
        items, total = job_pages.page(tx, search, number=number, size=size, viewer=viewer)
    return Page(items=items, number=number, size=size, total_items=total)


def task_log(
    context: ServiceContext, task_id: str, *, number: int, size: int, text: str = ""
) -> Page[LogPart]:
    """The log of a task, its newest part first; with a `text`, the parts that hold it. Raises NotFound."""
    found, _ = task(context, task_id)
    with context.database.reading() as tx:
        items, total = logs.page_of_task(tx, found.id, number=number, size=size, text=text)
    return Page(items=items, number=number, size=size, total_items=total)


def job_log(context: ServiceContext, job_id: str, *, number: int, size: int, text: str = "") -> Page[LogPart]:
    """The same for all tasks of a job. Raises NotFound."""
    with context.database.reading() as tx:
        if jobs.state(tx, job_id) is None:
            raise NotFound(f"there is no job {job_id!r}")
        items, total = logs.page_of_job(tx, job_id, number=number, size=size, text=text)
    return Page(items=items, number=number, size=size, total_items=total)


def active_nodes(context: ServiceContext) -> list[NodeView]:
    with context.database.reading() as tx:
        now = context.database.now(tx)
        found = nodes.active(tx, within_s=context.lease_s * _SHOWN_FOR_LEASES)
        busy = tasks.count_by_node(tx)
    return [
        NodeView(
            node=node,
            status=node.status(now=now, lease_s=context.lease_s),
            task_count=busy.get(node.name, 0),
        )
        for node in found
    ]


def queues(context: ServiceContext) -> list[QueueView]:
    """Every queue that has tasks or a live node, and the default one."""
    with context.database.reading() as tx:
        counts = tasks.count_by_queue(tx)
        live = nodes.active(tx, within_s=context.lease_s)
    served = [queue for node in live if node.stopped_at is None for queue in node.queues]
    names = sorted({DEFAULT_QUEUE, *counts, *served})
    return [
        QueueView(
            name=name,
            size=counts.get(name, (0, 0))[0],
            unacked=counts.get(name, (0, 0))[1],
            subscribers=served.count(name),
        )
        for name in names
    ]


def queue(context: ServiceContext, name: str) -> QueueView:
    """One queue that has tasks or a live node. Raises NotFound."""
    for found in queues(context):
        if found.name == name:
            return found
    raise NotFound(f"there is no queue {name[:LONGEST_NAME]!r}")


def metrics(context: ServiceContext) -> Metrics:
    with context.database.reading() as tx:
        running_jobs = jobs.count(tx, JobState.RUNNING)
    live = [view.node for view in active_nodes(context) if view.status is NodeStatus.UP]
    shown = queues(context)
    return Metrics(
        running_jobs=running_jobs,
        running_tasks={queue.name: queue.unacked for queue in shown},
        waiting_tasks={queue.name: queue.size for queue in shown},
        online_nodes=len(live),
        cpu_percent=round(sum(node.cpu_percent for node in live) / len(live), 1) if live else 0.0,
    )


def faults(context: ServiceContext) -> dict[str, str]:
    """The parts of the system that do not answer, each with what it said."""
    found = {}
    try:
        with context.database.reading() as tx:
            context.database.now(tx)
    except Unavailable as error:
        found["datastore"] = str(error)
    try:
        context.dispatcher.ping()
    except Unavailable as error:
        found["broker"] = str(error)
    return found
