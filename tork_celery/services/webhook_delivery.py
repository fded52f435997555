"""Delivery of recorded webhook calls, with retries."""

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
_LEASE_S = 60.0  # more than two timeouts: one to connect, one for the response
_HEADERS = {"Content-Type": "application/json", "User-Agent": "tork_celery"}
_NETWORK_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class DeliveryResult(Enum):
    """Result of one attempt at a call."""

    DELIVERED = "the receiver accepted the call"
    RETRY = "a later attempt may succeed"
    REJECTED = "no later attempt can succeed"


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
    ) -> None:
        """`post` makes a call and returns the result with a reason."""
        self._database = database
        self._post = post or post_call
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._free_threads = threads
        self._closed = False

    def deliver_due(self) -> None:
        """Start a due call in each free thread. A thread that has finished starts the next due call.

        Raises DatastoreUnavailable.
        """
        with self._database.reading() as tx:
            if not webhook_queue.any_due(tx):
                return
        with self._lock:  # also while claiming, so that no two claims count on the same free threads
            if self._closed or not self._free_threads:
                return
            with self._database.transaction() as tx:
                claimed_calls = webhook_queue.claim(tx, limit=self._free_threads, lease_s=_LEASE_S)
            self._free_threads -= len(claimed_calls)
            for claimed in claimed_calls:
                self._pool.submit(self._deliver, claimed)

    def close(self) -> None:
        """Claim no more calls. Claimed calls are still made; this method does not wait for them."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False)

    def _deliver(self, claimed: ClaimedCall) -> None:
        try:
            with survive_bugs("webhook.broken", job_id=claimed.call.job_id):
                self._store_result(claimed, *self._post(claimed.call))
        except DatastoreUnavailable as error:  # the call is made again after its claim has expired
            log.warning("webhook.result_not_stored", job_id=claimed.call.job_id, reason=str(error))
        finally:
            with self._lock:
                self._free_threads += 1
        self._deliver_next()

    def _deliver_next(self) -> None:
        try:
            with survive_bugs("webhook.broken"):
                self.deliver_due()
        except DatastoreUnavailable as error:  # the next periodic call of `deliver_due` tries again
            log.debug("webhook.datastore_away", reason=str(error))

    def _store_result(self, claimed: ClaimedCall, result: DeliveryResult, reason: str) -> None:
        retry = result is DeliveryResult.RETRY and claimed.attempts < MAX_ATTEMPTS
        with self._database.transaction() as tx:
            if retry:
                webhook_queue.postpone(tx, claimed, delay_s=delay_s(attempts=claimed.attempts))
            else:
                webhook_queue.remove(tx, claimed)
        if result is not DeliveryResult.DELIVERED:
            log.warning(
                "webhook.failed" if retry else "webhook.given_up",
                job_id=claimed.call.job_id,
                event_name=claimed.call.event,
                host=urlsplit(claimed.call.url).hostname,  # the rest of the URL may contain secrets
                attempt=claimed.attempts,
                reason=reason,
            )


def post_call(call: WebhookCall) -> tuple[DeliveryResult, str]:
    """Make a call. Return its result, and the reason: the response's status or the name of an error."""
    headers = CaseInsensitiveDict[str | bytes](_HEADERS)
    headers.update({name: value.encode() for name, value in call.headers.items()})
    try:
        with requests.post(
            call.url,
            data=call.body,
            headers=headers,
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            stream=True,  # the body of the response is not read
        ) as response:
            return _result_of(response.status_code), f"the receiver answered {response.status_code}"
    except _NETWORK_ERRORS as error:
        return DeliveryResult.RETRY, type(error).__name__
    except (requests.RequestException, ValueError) as error:  # an invalid URL or header
        return DeliveryResult.REJECTED, type(error).__name__


def _result_of(status: int) -> DeliveryResult:
    if requests.codes.ok <= status < requests.codes.multiple_choices:
        return DeliveryResult.DELIVERED
    if status == requests.codes.too_many_requests or status >= requests.codes.server_error:
        return DeliveryResult.RETRY
    return DeliveryResult.REJECTED
