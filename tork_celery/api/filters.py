"""Filters of lists of jobs and tasks, read from the parameters of a request."""

from datetime import UTC, datetime

from flask import Request

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.domain.job_filter import JobFilter, check_prefix
from tork_celery.domain.states import TaskState
from tork_celery.domain.task_filter import TaskFilter


def parse_job_filter(request: Request) -> JobFilter:
    """Return the filter in `id`, `since`, `until`, `parent` and `schedule`. Raises InvalidInput."""
    return JobFilter(
        id_prefix=_prefix(request),
        since=_time(request, "since"),
        until=_time(request, "until"),
        parent=parse_text(request, "parent"),
        schedule=parse_text(request, "schedule"),
    )


def parse_task_filter(request: Request) -> TaskFilter:
    """Return the filter in `id`, `state`, `queue` and `job`. Raises InvalidInput."""
    return TaskFilter(
        id_prefix=_prefix(request),
        state=parse_task_state(request),
        queue=parse_text(request, "queue"),
        job=parse_text(request, "job"),
    )


def parse_task_state(request: Request) -> TaskState | None:
    """Return the state in the parameter `state`. Raises InvalidInput."""
    text = parse_text(request, "state")
    if text is None:
        return None
    try:
        return TaskState(text.upper())
    except ValueError:
        message = f"{text[:40]!r} is not a state of a task; the states are {', '.join(TaskState)}"
        raise InvalidInput(Fault(path="state", message=message)) from None


def parse_text(request: Request, name: str) -> str | None:
    """Return a parameter; None if it is missing or empty. Raises InvalidInput."""
    text = request.args.get(name, "")
    if "\0" in text:
        raise InvalidInput(Fault(path=name, message="must not contain the character NUL"))
    return text or None


def _prefix(request: Request) -> str | None:
    text = parse_text(request, "id")
    if text is not None:
        try:
            check_prefix(text)
        except ValueError as error:
            raise InvalidInput(Fault(path="id", message=str(error))) from None
    return text


def _time(request: Request, name: str) -> float | None:
    """Return a time in seconds since the epoch. A time without a zone is in UTC."""
    text = parse_text(request, name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.replace(" ", "+"))  # a `+` that was not encoded for the URL
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        message = f"{text[:40]!r} is not a time; write it like 2026-11-25T08:30:00Z"
        raise InvalidInput(Fault(path=name, message=message)) from None
