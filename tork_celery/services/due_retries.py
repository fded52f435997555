"""Retries: put those whose back-off has passed into their queues."""

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.services.context import ServiceContext
from tork_celery.store import publishing_window, recovery_queries, tasks

_BATCH = 100
_LONGEST_WAIT_S = 2.0


def schedule_due(context: ServiceContext) -> float | None:
    """Put the retries that are due into their queues. Return the seconds until the next one is due, if known.

    Any number of processes may do this at once. Raises DatastoreUnavailable.
    """
    while True:
        with context.database.reading() as tx:
            next_s = recovery_queries.seconds_until_next_retry(tx)
        if next_s is None or next_s > 0:
            return next_s
        if not _schedule_batch(context):  # another process has them
            return None


def _schedule_batch(context: ServiceContext) -> int:
    """Schedule some of the retries that are due. Return how many."""
    with context.database.transaction() as tx:
        due = recovery_queries.due_retries(tx, limit=_BATCH)
        now = context.database.now(tx)
        scheduled = [transitions.retry_due(task, now=now) for task in due]
        webhook_outbox.record_tasks(tx, scheduled)
        tasks.save(tx, scheduled)
        queues = {task.queue for task in scheduled}
        sent = publishing_window.mark_next_sent(tx, queues, lease_s=context.lease_s, known=scheduled)
    context.publisher().send(sent)
    return len(due)


class RetryTimer:
    """A thread that puts retries into their queues at their time.

    It looks for the next one whenever this process has stored a retry (`ServiceContext.retry_stored`), and
    every 2 s, since other processes store some, too.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._wait_s = 0.0
        self._thread = PeriodicThread(
            self._wait_and_schedule, name="retries", interval_s=0.0, bug_event="periodic_work.failed"
        )

    def start(self) -> None:
        self._thread.start()

    def request_stop(self) -> None:
        self._thread.request_stop()
        self._context.retry_stored.set()

    def stop(self) -> None:
        """Stop the thread and wait for the end of the current run."""
        self.request_stop()
        self._thread.stop()

    def _wait_and_schedule(self) -> None:
        self._context.retry_stored.wait(self._wait_s)
        self._context.retry_stored.clear()
        if self._thread.stopping:
            return
        self._wait_s = _LONGEST_WAIT_S  # also after a failure
        next_s = schedule_due(self._context)
        if next_s is not None:
            self._wait_s = min(_LONGEST_WAIT_S, max(0.01, next_s))
