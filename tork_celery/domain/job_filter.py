"""Filters of the list of jobs, beside a search."""

import re
from dataclasses import dataclass

SHORTEST_PREFIX = 4
_PREFIX = re.compile(r"[0-9a-f]{4,32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Criteria that a job must all meet; None does not count.

    `since` and `until` bound the time of submission, in seconds since the epoch: the first is included, the
    second is not. `parent` is the id of a job or task that has started the job. `schedule` is the id of a
    schedule that has made it.
    """

    id_prefix: str | None = None
    since: float | None = None
    until: float | None = None
    parent: str | None = None
    schedule: str | None = None


NO_FILTER = JobFilter()


def check_prefix(text: str) -> None:
    """Raise ValueError unless the text is the beginning of an id."""
    if not _PREFIX.fullmatch(text):
        raise ValueError(f"must be the first {SHORTEST_PREFIX} to 32 hexadecimal digits of an id")
