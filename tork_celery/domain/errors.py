"""All errors that this system raises on purpose.

    TorkError
    ├── InvalidInput          invalid input of a client: HTTP 400
    ├── BodyTooLarge          a request body above the limit: HTTP 413
    ├── WrongState            the operation is not possible in the current state: HTTP 400
    ├── Conflict              another job or request stands in the way: HTTP 409
    │   └── KeyInUse              another request has the same Idempotency-Key
    ├── Unauthenticated       missing or wrong credentials: HTTP 401
    ├── Forbidden             the client may not do this: HTTP 403
    ├── MisdirectedRequest    a request for a host that the API does not answer to: HTTP 421
    ├── NotFound              HTTP 404
    ├── TooManyRequests       the client must wait before its next request: HTTP 429
    ├── StillRunning          a client waited for the end of a job until its timeout: HTTP 408
    ├── Unavailable           a part of the system does not answer: HTTP 503
    │   ├── TooManyWaiters        too many clients wait for the end of a job
    │   ├── TooManyStreams        all streams of this process are in use
    │   ├── DatastoreUnavailable
    │   │   ├── DatastoreFull         its disk is full
    │   │   └── SecretsUnreadable     a secret is encrypted with a key that this process lacks
    │   ├── BrokerUnavailable
    │   └── EngineUnavailable     costs a task no attempt
    │       └── EngineFailed          the engine answers, with an error that may pass
    ├── EvaluationFailed      an expression fails, or its value does not fit: the task fails
    ├── StepFailed            a step can never run as it is written: the task fails
    ├── IllegalTransition     a state change outside the tables in `domain.states`: a bug, HTTP 500
    └── ConfigurationError    a setting or the machine keeps a process from starting

`api.errors` maps them to HTTP; `cli.main` and `tasks.lifecycle` map them to an exit code.
"""

from dataclasses import dataclass

from tork_celery.domain.backoff import UNKNOWN, RetryLimit

MOST_FAULTS = 20
"""Faults of one input that are reported at most."""


class TorkError(Exception):
    """Base class of all errors of this system."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One invalid place in an input: its path, line and column, counted from 1, and what to write instead."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f"line {self.line}, column {self.column}"
        place = f"{self.path} ({line})" if self.path and line else self.path or line
        return f"{place}: {self.message}" if place else self.message


class InvalidInput(TorkError):
    """The input has faults. The text of the error has one line for each."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(path="", message=f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class BodyTooLarge(TorkError):
    """The request body is larger than the limit."""


class WrongState(TorkError):
    """The operation is not possible in the current state of its object."""


class Conflict(TorkError):
    """Another job or request stands in the way. `jobs` are the ids of such jobs."""

    def __init__(
        self, message: str, *, jobs: tuple[str, ...] = (), retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.jobs = jobs
        self.retry_after_s = retry_after_s


class KeyInUse(Conflict):
    """Another request has the same Idempotency-Key: it has an answer, or is being answered."""

    def __init__(self) -> None:
        super().__init__(
            "a request with this Idempotency-Key is being answered; send it again later", retry_after_s=1.0
        )


class Unauthenticated(TorkError):
    """The request has no credentials, or wrong ones."""


class Forbidden(TorkError):
    """The client may not do this."""


class MisdirectedRequest(TorkError):
    """The request is for a host that this API does not answer to."""


class NotFound(TorkError):
    """The object does not exist, or the user may not see it."""


class TooManyRequests(TorkError):
    """The client must wait for `retry_after_s` before its next request."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(TorkError):
    """A part of the system does not answer."""


class DatastoreUnavailable(Unavailable):
    """The datastore does not answer."""


class DatastoreFull(DatastoreUnavailable):
    """The disk of the datastore is full: reads work, and small writes may."""


class SecretsUnreadable(DatastoreUnavailable):
    """A secret in the datastore is damaged, or encrypted with a key that this process does not have."""


class BrokerUnavailable(Unavailable):
    """The broker does not answer."""


class TooManyWaiters(Unavailable):
    """The number of clients that may wait for the end of a job is reached."""


class TooManyStreams(Unavailable):
    """All streams of this process are in use. The client may try again after `retry_after_s`."""

    retry_after_s = 5.0


class EngineUnavailable(Unavailable):
    """The container engine does not answer."""


class EngineFailed(EngineUnavailable):
    """The container engine answers a call with an error that may pass.

    `call` names the call, for example "start the container". A step that needs it is tried again within
    `limit`, and then fails with the text of the error.
    """

    def __init__(self, message: str, *, call: str, limit: RetryLimit = UNKNOWN) -> None:
        super().__init__(message)
        self.call = call
        self.limit = limit


class StillRunning(TorkError):
    """The job has not ended within the timeout of the client."""


class EvaluationFailed(TorkError):
    """An expression fails, or its value does not fit its field. The text is the error of the task."""


class StepFailed(TorkError):
    """The step can never run as it is written, for example without its image. The text is the error of the
    task."""


class IllegalTransition(TorkError):
    """A bug: a move between states that `domain.states` does not allow."""


class ConfigurationError(TorkError):
    """A setting, or the state of the machine, keeps this process from starting."""
