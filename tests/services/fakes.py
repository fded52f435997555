"""Fakes for tests of services and workers."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task


class FakeDispatcher(Dispatcher):
    """Records messages instead of publishing them. `depths` are the depths of its queues, and
    `counted_queues` the queues of each call that counts messages.

    While it is `away` all calls fail; `failed_calls` counts them.
    """

    def __init__(self) -> None:
        self.sent: list[Task] = []
        self.killed_steps: list[Task] = []
        self.cancelled_subjobs: list[str] = []
        self.parents_to_start: list[str] = []
        self.jobs_to_end: list[str] = []
        self.purged_queues: list[str] = []
        self.deleted_queues: list[str] = []
        self.counted_queues: list[list[str]] = []
        self.depths: Counter[str] = Counter()
        self.away = False
        self.failed_calls = 0

    @property
    def sent_ids(self) -> list[str]:
        return [task.id for task in self.sent]

    def send_all(self, tasks: Sequence[Task]) -> None:
        self.ping()
        self.sent += tasks

    def start_children(self, task_id: str) -> None:
        self.ping()
        self.parents_to_start.append(task_id)

    def cancel_subjob(self, job_id: str) -> None:
        self.ping()
        self.cancelled_subjobs.append(job_id)

    def end_tasks(self, job_id: str) -> None:
        self.ping()
        self.jobs_to_end.append(job_id)

    def kill_step(self, task: Task) -> None:
        self.ping()
        self.killed_steps.append(task)

    def depth(self, queue: str) -> int:
        self.ping()
        return self.depths[queue]

    def count_messages(self, queues: Iterable[str]) -> dict[str, int]:
        self.ping()
        self.counted_queues.append(list(queues))
        return {name: self.depths[name] for name in self.counted_queues[-1]}

    def delete_unused(self, queues: Iterable[str]) -> None:
        self.ping()
        self.deleted_queues += queues

    def purge(self, queue: str) -> None:
        self.ping()
        self.purged_queues.append(queue)

    def ping(self) -> None:
        if self.away:
            self.failed_calls += 1
            raise BrokerUnavailable("the broker is away")
