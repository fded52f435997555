"""Options that select jobs."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from tork_celery.domain import durations

F = TypeVar("F", bound=Callable[..., Any])


def add_query_option(command: F) -> F:
    return click.option(
        "-q",
        "--query",
        default="",
        help="A search as in GET /jobs, such as 'convert tag:nightly status:failed'.",
    )(command)


def job_query(query: str, states: Iterable[str] = (), tags: Iterable[str] = ()) -> str | None:
    """Return the query of a search for jobs; None for all jobs."""
    terms = [query, *(f"status:{state}" for state in states), *(f'tag:"{tag}"' for tag in tags)]
    return " ".join(term for term in terms if term) or None


def parse_since(text: str | None) -> str | None:
    """Return a time for the API from a duration before now, a date, or a time.

    A date or time without a zone is one of this machine's zone. Raises click.UsageError.
    """
    if text is None:
        return None
    try:
        return (datetime.now(UTC) - timedelta(seconds=durations.seconds(text))).isoformat()
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"--since {text}: write a duration such as 90m, a date such as 2026-11-25, or 2026-11-25T08:30"
        ) from None
