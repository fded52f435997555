"""A dispatcher that publishes nothing."""

from collections import Counter

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task


class FakeDispatcher(Dispatcher):
    """Remembers what was sent and stopped; `depths` is how many messages wait in a queue.
    Nothing answers while it is `away`; `refused` is how often that was found out."""

    def __init__(self) -> None:
        self.sent: list[Task] = []
        self.delays_s: list[float] = []
        self.killed: list[Task] = []
        self.purged: list[str] = []
        self.starting_children: list[str] = []
        self.cancelled_subjobs: list[str] = []
        self.depths: Counter[str] = Counter()
        self.away = False
        self.refused = 0

    @property
    def sent_ids(self) -> list[str]:
        return [task.id for task in self.sent]

    def send(self, task: Task, *, delay_s: float = 0.0) -> None:
        self.ping()
        self.sent.append(task)
        self.delays_s.append(delay_s)

    def start_children(self, task_id: str) -> None:
        self.ping()
        self.starting_children.append(task_id)

    def cancel_subjob(self, job_id: str) -> None:
        self.ping()
        self.cancelled_subjobs.append(job_id)

    def kill_step(self, task: Task) -> None:
        self.ping()
        self.killed.append(task)

    def depth(self, queue: str) -> int:
        self.ping()
        return self.depths[queue]

    def purge(self, queue: str) -> None:
        self.ping()
        self.purged.append(queue)

    def ping(self) -> None:
        if self.away:
            self.refused += 1
            raise BrokerUnavailable("the broker is away")
