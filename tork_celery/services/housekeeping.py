"""What the sweep tidies up: jobs that are to be removed, and the counts of jobs."""

import structlog

from tork_celery.services.context import ServiceContext
from tork_celery.store import job_counts, retention

log = structlog.get_logger(__name__)

_BATCH = 50
_BATCHES = 20  # a sweep: the rest waits for the next one


def tidy(context: ServiceContext) -> None:
    """Remove the jobs that are due, a few at a time, so that nobody waits long for the datastore."""
    for _ in range(_BATCHES):
        with context.database.transaction() as tx:
            removed = retention.remove_due(tx, keep_s=context.keep_jobs_s, limit=_BATCH)
        if removed:
            log.info("jobs.removed", number=removed)
        if removed < _BATCH:
            break
    with context.database.transaction() as tx:
        job_counts.fold(tx)
