"""Housekeeping of the datastore: removal of old jobs, and their counts."""

import structlog

from tork_celery.services.context import ServiceContext
from tork_celery.store import idempotency_keys, job_counts, retention

log = structlog.get_logger(__name__)

_BATCH = 50
_BATCHES_PER_RUN = 20


def run(context: ServiceContext) -> None:
    """Remove jobs that are due for deletion, in small transactions, and answers that are no longer kept, and
    fold the counts of jobs.

    A run has at most 20 transactions; the next run continues. Raises DatastoreUnavailable.
    """
    for _ in range(_BATCHES_PER_RUN):
        with context.database.transaction() as tx:
            removal = retention.remove_due(tx, keep_s=context.keep_jobs_s, limit=_BATCH)
        if removal.jobs:
            log.info("jobs.removed", number=removal.jobs)
        if not removal.more:
            break
    with context.database.transaction() as tx:
        idempotency_keys.remove_expired(tx, limit=_BATCH * _BATCHES_PER_RUN)
        job_counts.fold(tx)
