"""HTTP client of webhooks."""

import socket
from enum import Enum

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from tork_celery.domain.webhook_targets import WebhookTargets
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services.webhook_connections import Adapter, Connector, Deadline, Lookup, TargetRefused

TIMEOUT_S = 10.0
"""Deadline of a call, from the lookup of the host's name to the headers of the response."""

_HEADERS = {"Content-Type": "application/json", "User-Agent": "tork_celery"}
_NO_PROXIES = {"http": "", "https": ""}
_NETWORK_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class DeliveryResult(Enum):
    """Result of one attempt at a call."""

    DELIVERED = "the receiver accepted the call"
    RETRY = "a later attempt may succeed"
    REJECTED = "no later attempt can succeed"


class WebhookClient:
    """Makes webhook calls. Thread-safe.

    With `targets`, only public addresses and these targets are connected to, and no proxy is used, because a
    proxy would connect to any address.
    """

    def __init__(
        self,
        *,
        targets: WebhookTargets | None = None,
        timeout_s: float = TIMEOUT_S,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._targets = targets
        self._timeout_s = timeout_s
        self._lookup = lookup

    def post(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
        """Make a call. Return its result, and the reason: the response's status or an error."""
        with Deadline(self._timeout_s) as deadline:
            late = DeliveryResult.RETRY, f"no answer within {self._timeout_s:g} s"
            try:
                result = self._post(call, deadline)
            except TargetRefused as error:
                return DeliveryResult.REJECTED, str(error)
            except _NETWORK_ERRORS as error:
                return late if deadline.passed else (DeliveryResult.RETRY, type(error).__name__)
            except (requests.RequestException, ValueError) as error:  # an invalid URL or header
                return DeliveryResult.REJECTED, type(error).__name__
            except HTTPError as error:  # of urllib3, which Requests translates for the most part
                return DeliveryResult.RETRY, type(error).__name__
            return late if deadline.cut_off else result

    def _post(self, call: WebhookCall, deadline: Deadline) -> tuple[DeliveryResult, str]:
        headers = CaseInsensitiveDict[str | bytes](_HEADERS)
        headers.update({name: value.encode() for name, value in call.headers.items()})
        with _Session(Connector(deadline, self._targets, self._lookup)) as session:
            response = session.post(
                call.url,
                data=call.body,
                headers=headers,
                timeout=self._timeout_s,
                proxies=None if self._targets is None else _NO_PROXIES,
                allow_redirects=False,
                stream=True,  # the body of the response is not read
            )
            with response:
                return _result_of(response.status_code), f"the receiver answered {response.status_code}"


def _result_of(status: int) -> DeliveryResult:
    if requests.codes.ok <= status < requests.codes.multiple_choices:
        return DeliveryResult.DELIVERED
    if status == requests.codes.too_many_requests or status >= requests.codes.server_error:
        return DeliveryResult.RETRY
    return DeliveryResult.REJECTED


class _Session(requests.Session):
    """Session of one call."""

    def __init__(self, connector: Connector) -> None:
        super().__init__()
        for prefix in ("http://", "https://"):
            self.mount(prefix, Adapter(connector))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: for a redirect, Requests would read the whole body, also without following it."""
