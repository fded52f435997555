"""Webhooks are called, as often as it takes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from urllib.parse import urlsplit

import requests
import structlog
from requests.structures import CaseInsensitiveDict

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.webhooks import MAX_ATTEMPTS, WebhookCall, delay_s
from tork_celery.periodic_thread import survive_bugs
from tork_celery.store import Database, webhook_queue
from tork_celery.store.webhook_queue import ClaimedCall

log = structlog.get_logger(__name__)

_THREADS = 8
_TIMEOUT_S = 10.0
_LEASE_S = 60.0  # a call takes two timeouts at the most: to connect, and to be answered
_HEADERS = {"Content-Type": "application/json", "User-Agent": "tork_celery"}
_NETWORK = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class DeliveryResult(Enum):
    """What becomes of a call."""

    DELIVERED = "the receiver has it"
    RETRY = "it is worth another try"
    REJECTED = "it will never be taken"


class WebhookSender:
    """Calls what is due, on threads of its own: a receiver that is slow keeps nothing else from going on.

    Any number of processes may have one. Safe to use from many threads.
    """

    def __init__(
        self,
        database: Database,
        *,
        make: Callable[[WebhookCall], tuple[DeliveryResult, str]] | None = None,
        threads: int = _THREADS,
    ) -> None:
        self._database = database
        self._make = make or post
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._free = threads
        self._closed = False

    def deliver_due(self) -> None:
        """Begin as many calls as there are threads free; each that ends begins the next one. Raises
        DatastoreUnavailable."""
        with self._database.reading() as tx:
            if not webhook_queue.any_due(tx):
                return
        with self._lock:  # one claim at a time, or two would share what is free
            if self._closed or not self._free:
                return
            with self._database.transaction() as tx:
                claimed = webhook_queue.claim(tx, limit=self._free, lease_s=_LEASE_S)
            self._free -= len(claimed)
            for each in claimed:
                self._pool.submit(self._deliver, each)

    def close(self) -> None:
        """What was claimed is called still; the rest is for others, who find it as it was."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False)

    def _deliver(self, claimed: ClaimedCall) -> None:
        try:
            with survive_bugs("webhook.broken", job_id=claimed.call.job_id):
                self._settle(claimed, *self._make(claimed.call))
        except DatastoreUnavailable as error:  # the call is made again when its claim runs out
            log.warning("webhook.not_settled", job_id=claimed.call.job_id, reason=str(error))
        finally:
            with self._lock:
                self._free += 1
        self._go_on()

    def _go_on(self) -> None:
        try:
            with survive_bugs("webhook.broken"):
                self.deliver_due()
        except DatastoreUnavailable as error:  # the next turn of the errands begins again
            log.debug("webhook.rests", reason=str(error))

    def _settle(self, claimed: ClaimedCall, answer: DeliveryResult, reason: str) -> None:
        again = answer is DeliveryResult.RETRY and claimed.attempts < MAX_ATTEMPTS
        with self._database.transaction() as tx:
            if again:
                webhook_queue.postpone(tx, claimed, delay_s=delay_s(attempts=claimed.attempts))
            else:
                webhook_queue.remove(tx, claimed)
        if answer is not DeliveryResult.DELIVERED:
            log.warning(
                "webhook.failed" if again else "webhook.given_up",
                job_id=claimed.call.job_id,
                event_name=claimed.call.event,
                host=urlsplit(claimed.call.url).hostname,  # the rest may hold secrets
                attempt=claimed.attempts,
                reason=reason,
            )


def post(call: WebhookCall) -> tuple[DeliveryResult, str]:
    """Make a call; what becomes of it, and why."""
    headers = CaseInsensitiveDict[str | bytes](_HEADERS)
    headers.update({name: value.encode() for name, value in call.headers.items()})
    try:
        with requests.post(
            call.url,
            data=call.body,
            headers=headers,
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            stream=True,  # what it answers is not read
        ) as answer:
            return _judged(answer.status_code), f"it answers {answer.status_code}"
    except _NETWORK as error:
        return DeliveryResult.RETRY, type(error).__name__
    except (requests.RequestException, ValueError) as error:  # no such URL, or no such header, can be
        return DeliveryResult.REJECTED, type(error).__name__


def _judged(status: int) -> DeliveryResult:
    if requests.codes.ok <= status < requests.codes.multiple_choices:
        return DeliveryResult.DELIVERED
    if status == requests.codes.too_many_requests or status >= requests.codes.server_error:
        return DeliveryResult.RETRY
    return DeliveryResult.REJECTED
