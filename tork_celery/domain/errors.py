"""The errors that users are told of.

    TorkError
    ├── InvalidInput          a client's input is wrong: HTTP 400
    ├── BodyTooLarge          a body above the limit: HTTP 413
    ├── WrongState            the thing is not in a state for that: HTTP 400
    ├── Unauthenticated       who asks is not known: HTTP 401
    ├── NotFound              no such thing: HTTP 404
    ├── StillRunning          a client waited for a job's end, but not long enough: HTTP 408
    ├── Unavailable           a part that the system needs is away: HTTP 503
    │   ├── TooManyWaiters        for the ends of jobs
    │   ├── DatastoreUnavailable
    │   ├── BrokerUnavailable
    │   └── EngineUnavailable     the container engine does not answer; uses up no attempt
    ├── EvaluationFailed      an expression of a task fails, or yields what does not fit: the task fails
    ├── StepFailed            a step cannot run, and never will: its task fails
    ├── IllegalTransition     a state change outside the tables in `domain.states`: a bug, HTTP 500
    └── ConfigurationError    a setting or the machine keeps a process from starting

One place, `api.errors`, turns them into HTTP. Into an exit code: `cli.main`, and `tasks.lifecycle` for a
worker that does not start.
"""

from dataclasses import dataclass

MOST_FAULTS = 20
"""So many faults of an input are told at the most."""


class TorkError(Exception):
    """Something went wrong in a way that this system knows."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input: where, and what would be right."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.path
        if self.line is not None:
            place += (
                f" (line {self.line}, column {self.column})"
                if place
                else f"line {self.line}, column {self.column}"
            )
        return f"{place}: {self.message}" if place else self.message


class InvalidInput(TorkError):
    """The input is refused. `faults` says where and why; its text lists them, one a line."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(path="", message=f) if isinstance(f, str) else f for f in faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class BodyTooLarge(TorkError):
    """The body is larger than the limit."""


class WrongState(TorkError):
    """The thing is not in a state in which that can be done."""


class Unauthenticated(TorkError):
    """Nobody is known by the credentials of a request, or there are none."""


class NotFound(TorkError):
    """There is no such thing."""


class Unavailable(TorkError):
    """A part that the system needs does not answer."""


class DatastoreUnavailable(Unavailable):
    """The datastore does not answer."""


class BrokerUnavailable(Unavailable):
    """The broker does not answer."""


class TooManyWaiters(Unavailable):
    """As many clients as may are waiting for the ends of their jobs."""


class EngineUnavailable(Unavailable):
    """The container engine does not answer."""


class StillRunning(TorkError):
    """The job has not ended within the time for which a client waits."""


class EvaluationFailed(TorkError):
    """An expression fails, or yields what does not fit its field; its text becomes the task's error."""


class StepFailed(TorkError):
    """The step cannot run as it is written (no such image, say); its text becomes the task's error."""


class IllegalTransition(TorkError):
    """A job or task would move between states in a way that `domain.states` does not allow: a bug."""


class ConfigurationError(TorkError):
    """A setting, or the state of the machine, keeps this process from starting."""
