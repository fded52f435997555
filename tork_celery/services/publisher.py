"""What is published once a plan is committed."""

from collections.abc import Callable, Iterable

import structlog

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task

log = structlog.get_logger(__name__)

LONGEST_COUNTDOWN_S = 60.0
"""A worker holds a message with a countdown in its memory, so longer delays are left to the sweep."""


class Publisher:
    """Publishes what follows from one move. A broker that is away is no error: the sweep finds what was not
    published. After one failure nothing more is tried, since each try may take seconds."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._away = False

    def send(self, following: Iterable[Task], *, now: float) -> None:
        """The canvas of each task, but for a retry that is due much later: that waits in the datastore."""
        for task in following:
            delay_s = max(0.0, (task.due_at or now) - now)
            if delay_s <= LONGEST_COUNTDOWN_S:
                self._publish(self._dispatcher.send, task, delay_s=delay_s)

    def kill(self, stopped: Iterable[Task]) -> None:
        """What a stopped task had begun ends too: its step, of which its node is told, or its subjob, which a
        coordinator ends: there may be thousands."""
        for task in stopped:
            if task.subjob_id:
                self._publish(self._dispatcher.cancel_subjob, task.subjob_id)
            elif task.node:
                self._publish(self._dispatcher.kill_step, task)

    def start_children(self, parents: Iterable[str]) -> None:
        """A message for each composite, so that other transactions have their turn in between."""
        for parent_id in parents:
            self._publish(self._dispatcher.start_children, parent_id)

    def _publish(self, publish: Callable[..., None], *about: object, **options: object) -> None:
        if self._away:
            return
        try:
            publish(*about, **options)
        except BrokerUnavailable as error:
            self._away = True
            log.warning("messages.not_published", reason=str(error))
