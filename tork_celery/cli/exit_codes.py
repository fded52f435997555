"""The exit codes of all commands, and the one mapping of errors and states to them."""

from collections.abc import Iterable
from enum import IntEnum

from tork_celery.domain import errors


class ExitCode(IntEnum):
    """Tells a script how a command ended."""

    DONE = 0
    JOB_FAILED = 1
    USAGE = 2
    """Wrong arguments or settings, or an invalid file."""
    CANCELLED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    """No such job, task, schedule, queue or user, or one in the wrong state."""
    UNREACHABLE = 6
    """The server does not answer, or is too busy. Nothing was submitted."""
    BUG = 70
    TIMED_OUT = 124
    INTERRUPTED = 130
    """By Ctrl-C. The job goes on."""


_OF_ERRORS: tuple[tuple[type[errors.TorkError], ExitCode], ...] = (
    (errors.InvalidInput, ExitCode.USAGE),
    (errors.BodyTooLarge, ExitCode.USAGE),
    (errors.ConfigurationError, ExitCode.USAGE),
    (errors.Unauthenticated, ExitCode.NOT_ALLOWED),
    (errors.Forbidden, ExitCode.NOT_ALLOWED),
    (errors.NotFound, ExitCode.NOT_FOUND),
    (errors.WrongState, ExitCode.NOT_FOUND),
    (errors.Conflict, ExitCode.NOT_FOUND),
    (errors.StillRunning, ExitCode.TIMED_OUT),
    (errors.TooManyRequests, ExitCode.UNREACHABLE),
    (errors.MisdirectedRequest, ExitCode.UNREACHABLE),
    (errors.Unavailable, ExitCode.UNREACHABLE),
)

_OF_JOB_STATES = {
    "COMPLETED": ExitCode.DONE,
    "FAILED": ExitCode.JOB_FAILED,
    "CANCELLED": ExitCode.CANCELLED,
}


def of_error(error: errors.TorkError) -> ExitCode:
    for kind, code in _OF_ERRORS:
        if isinstance(error, kind):
            return code
    return ExitCode.BUG


def of_job(state: str) -> ExitCode:
    """Return the exit code for the state of an ended job."""
    return _OF_JOB_STATES[state]


def of_all(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code of a command that acted on several things: the highest of theirs."""
    return max(codes, default=ExitCode.DONE)
