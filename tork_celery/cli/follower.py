"""Follows a job to its end: its state, its tasks and their logs. An API that is away is asked again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tork_celery.cli.client import Client, Document
from tork_celery.cli.log_reader import LogReader
from tork_celery.cli.timeouts import Deadline
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import Unavailable
from tork_celery.domain.states import JobState

_POLL = Backoff(first_s=0.1, longest_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The job as it is now, and the log parts that were added."""

    job: Document
    parts: Sequence[Document] = ()


def follow(
    client: Client,
    job_id: str,
    deadline: Deadline,
    *,
    show: Callable[[Change], None],
    say: Callable[[str], None],
    logs: bool,
) -> Document | None:
    """Show each change of a job, with its logs on demand, and return the job when it has ended.

    Return None if the deadline passes first. `say` receives messages about an API that is away.
    """
    reader = LogReader(client, "jobs", job_id, "log")
    away = False
    pauses_s = _POLL.delays_s()
    while True:
        try:
            job = client.job(job_id, patient=False)
            parts = reader.added() if logs else []
        except Unavailable as error:
            if not away:
                say(f"trying again until the API answers about the job {job_id}: {error}")
            away = True
        else:
            if away:
                say(f"{client.url} answers again")
            away = False
            show(Change(job=job, parts=parts))
            if JobState(job["state"]).ended:
                return job
            if parts:
                pauses_s = _POLL.delays_s()
        if deadline.passed:
            return None
        time.sleep(deadline.at_most(next(pauses_s)))
