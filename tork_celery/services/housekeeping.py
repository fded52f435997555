"""Housekeeping of the datastore: removal of old jobs, logs and recorded changes, and the counts of jobs."""

import structlog

from tork_celery.services.context import ServiceContext
from tork_celery.store import changes, idempotency_keys, job_counts, retention

log = structlog.get_logger(__name__)

_BATCH = 50
_BATCHES_PER_RUN = 20
_KEEP_CHANGES_S = changes.KEEP_S + 60.0  # so that most runs find none to remove


def run(context: ServiceContext) -> None:
    """Remove jobs that are due for deletion, old logs, changes and answers, and fold the counts of jobs.

    A run removes each in at most 20 small transactions; the next run continues. Raises DatastoreUnavailable.
    """
    for _ in range(_BATCHES_PER_RUN):
        with context.database.transaction() as tx:
            removal = retention.remove_due(tx, keep_s=context.keep_jobs_s, limit=_BATCH)
        if removal.jobs:
            log.info("jobs.removed", number=removal.jobs)
        if not removal.more:
            break
    _remove_old_logs(context)
    _remove_old_changes(context)
    with context.database.transaction() as tx:
        idempotency_keys.remove_expired(tx, limit=_BATCH * _BATCHES_PER_RUN)
        job_counts.fold(tx)


def _remove_old_logs(context: ServiceContext) -> None:
    if context.keep_logs_s is None:
        return
    with context.database.reading() as tx:
        more = retention.has_old_logs(tx, keep_s=context.keep_logs_s)
    for _ in range(_BATCHES_PER_RUN):
        if not more:
            break
        with context.database.transaction() as tx:
            more = retention.remove_old_logs(tx, keep_s=context.keep_logs_s)


def _remove_old_changes(context: ServiceContext) -> None:
    with context.database.reading() as tx:
        more = changes.oldest_is_older(tx, _KEEP_CHANGES_S)
    for _ in range(_BATCHES_PER_RUN):
        if not more:
            break
        with context.database.transaction() as tx:
            more = changes.remove_old(tx)
