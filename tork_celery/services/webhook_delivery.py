"""Delivery of recorded webhook calls, with retries."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

from tork_celery.domain.errors import DatastoreUnavailable, SecretsUnreadable
from tork_celery.domain.webhook_targets import receiver
from tork_celery.domain.webhooks import MAX_ATTEMPTS, WebhookCall, delay_s
from tork_celery.periodic_thread import survive_bugs
from tork_celery.services.webhook_client import TIMEOUT_S, DeliveryResult, WebhookClient
from tork_celery.store import Database, webhook_queue
from tork_celery.store.webhook_queue import ClaimedCall, Exclusions

log = structlog.get_logger(__name__)

_THREADS = 16
_SHARE = 4
_LEASE_S = 6 * TIMEOUT_S  # a call ends before its claim expires, with time to store its result


class CallsInProgress:
    """The calls that a process is making, each in a thread of its own.

    One receiver or one job has at most `share` of the threads, so that a receiver that hangs leaves threads
    for the others. Not thread-safe.
    """

    def __init__(self, *, threads: int, share: int) -> None:
        self._threads = threads
        self._share = share
        self._calls: dict[int, ClaimedCall] = {}

    def add(self, claimed: ClaimedCall) -> None:
        self._calls[claimed.id] = claimed

    def remove(self, claimed: ClaimedCall) -> None:
        self._calls.pop(claimed.id, None)

    @property
    def has_free_thread(self) -> bool:
        return len(self._calls) < self._threads

    @property
    def exclusions(self) -> Exclusions:
        """Calls that must not start now. A call that this process is making is not made a second time."""
        calls = self._calls.values()
        return Exclusions(
            ids=list(self._calls),
            receivers=self._at_their_share(claimed.receiver for claimed in calls),
            job_ids=self._at_their_share(claimed.job_id for claimed in calls),
        )

    def _at_their_share(self, names: Iterable[str]) -> list[str]:
        return [name for name, number in Counter(names).items() if number >= self._share]


class WebhookSender:
    """Makes due webhook calls in threads of its own, so that a slow receiver delays nothing else.

    Thread-safe. Any number of processes may have one: each call is claimed by one of them.
    """

    def __init__(
        self,
        database: Database,
        *,
        post: Callable[[WebhookCall], tuple[DeliveryResult, str]] | None = None,
        threads: int = _THREADS,
        share: int = _SHARE,
    ) -> None:
        """`post` makes a call and returns the result with a reason."""
        self._database = database
        self._post = post or WebhookClient().post
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._in_progress = CallsInProgress(threads=threads, share=share)
        self._closed = False

    def deliver_due(self) -> None:
        """Start due calls in the free threads. A thread that has finished starts the next due call.

        Raises DatastoreUnavailable.
        """
        with self._lock:  # also while claiming, so that no two claims count on the same free thread
            while (claimed := self._claim()) is not None:
                self._in_progress.add(claimed)
                self._pool.submit(self._deliver, claimed)

    def close(self) -> None:
        """Claim no more calls. Claimed calls are still made; this method does not wait for them."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False)

    def _claim(self) -> ClaimedCall | None:
        if self._closed or not self._in_progress.has_free_thread:
            return None
        exclusions = self._in_progress.exclusions
        with self._database.reading() as tx:  # takes no write lock when nothing is due
            if not webhook_queue.any_due(tx, exclusions):
                return None
        with self._database.transaction() as tx:
            return webhook_queue.claim(tx, lease_s=_LEASE_S, excluding=exclusions)

    def _deliver(self, claimed: ClaimedCall) -> None:
        try:
            with survive_bugs("webhook.broken", job_id=claimed.job_id):
                self._attempt(claimed)
        except DatastoreUnavailable as error:  # the call is made again after its claim has expired
            log.warning("webhook.result_not_stored", job_id=claimed.job_id, reason=str(error))
        finally:
            with self._lock:
                self._in_progress.remove(claimed)
        self._deliver_next()

    def _attempt(self, claimed: ClaimedCall) -> None:
        try:
            with self._database.reading() as tx:
                call = webhook_queue.get(tx, claimed)
        except SecretsUnreadable as error:
            self._store_result(claimed, DeliveryResult.RETRY, reason=str(error))
            return
        if call is not None:
            result, reason = self._post(call)
            # the rest of the URL may contain secrets
            host = receiver(call.url).rpartition(":")[0]
            self._store_result(claimed, result, reason=reason, event_name=call.event, host=host)

    def _deliver_next(self) -> None:
        try:
            with survive_bugs("webhook.broken"):
                self.deliver_due()
        except DatastoreUnavailable as error:  # the next periodic call of `deliver_due` tries again
            log.debug("webhook.datastore_away", reason=str(error))

    def _store_result(self, claimed: ClaimedCall, result: DeliveryResult, **fields: str) -> None:
        retry = result is DeliveryResult.RETRY and claimed.attempts < MAX_ATTEMPTS
        with self._database.transaction() as tx:
            if retry:
                webhook_queue.postpone(tx, claimed, delay_s=delay_s(attempts=claimed.attempts))
            else:
                webhook_queue.remove(tx, claimed)
        if result is not DeliveryResult.DELIVERED:
            event = "webhook.failed" if retry else "webhook.given_up"
            log.warning(event, job_id=claimed.job_id, attempt=claimed.attempts, **fields)
