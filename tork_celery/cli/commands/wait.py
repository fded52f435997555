"""`tork-celery wait ID...`."""

import time

import click

from tork_celery.cli import exit_codes, ids
from tork_celery.cli.client import Document
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.timeouts import Deadline, add_timeout_option
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import NotFound, Unavailable
from tork_celery.domain.states import JobState

_POLL = Backoff(first_s=0.1, longest_s=2.0)


@click.command()
@click.argument("ids", nargs=-1, required=True)
@add_timeout_option
@add_global_options
def wait(ids: tuple[str, ...], timeout_s: float | None) -> int:
    """Wait until all jobs have ended, and print each with its state.

    Exits like `run`; with several jobs, with the highest of 1, 3, 5 and 124.
    """
    deadline = Deadline(timeout_s)
    return exit_codes.of_all([_wait_for(text, deadline) for text in ids])


def _wait_for(text: str, deadline: Deadline) -> ExitCode:
    try:
        job = _ended(ids.job_id(session().client, text), deadline)
    except NotFound as error:
        session().say(f"Error: {error}")
        return ExitCode.NOT_FOUND
    if job is None:
        session().say(f"{text} has not ended; `tork-celery wait {text}` waits on")
        return ExitCode.TIMED_OUT
    summary = {key: value for key, value in job.items() if key not in ("tasks", "execution", "context")}
    session().output.document(summary, plain=f"{job['id']}  {job['state']}")
    return exit_codes.of_job(job["state"])


def _ended(job_id: str, deadline: Deadline) -> Document | None:
    """Return the job when it has ended; None if the deadline passes first. Asks an API that is away again."""
    for pause_s in _POLL.delays_s():
        try:
            job = session().client.job(job_id, patient=False)
        except Unavailable as error:
            session().say(f"trying again: {error}")
        else:
            if JobState(job["state"]).ended:
                return job
        if deadline.passed:
            return None
        time.sleep(deadline.at_most(pause_s))
    raise AssertionError("the pauses have no end")
