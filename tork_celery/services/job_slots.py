"""Slots of jobs with a `concurrency`: which new job starts, and which one waits."""

from sqlalchemy import Connection

from tork_celery.domain import transitions
from tork_celery.domain.errors import Conflict
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.store import job_slots


def admitted(tx: Connection, plan: Plan) -> Plan:
    """Return the plan to store for a new job: the given one, or one without tasks if the job has to wait.

    Store it in the same transaction, before the next decision. Raises Conflict if the job is to be rejected.
    """
    job = plan.job
    if job.slot_key is None:
        return plan
    job_slots.lock(tx, job.slot_key)
    if not job_slots.any_waits(tx, job.slot_key) and has_slot(tx, job):
        return plan
    concurrency = job.definition.concurrency
    if concurrency is not None and concurrency.policy == "reject":
        raise _no_slot(tx, job.slot_key)
    return transitions.waiting(job)


def require_slot(tx: Connection, job: Job) -> None:
    """Raise Conflict unless a job that runs again may hold a slot now. The job must be locked."""
    if job.slot_key is not None:
        job_slots.lock(tx, job.slot_key)
        if not has_slot(tx, job):
            raise _no_slot(tx, job.slot_key)


def has_slot(tx: Connection, job: Job) -> bool:
    return job.slot_key is None or len(job_slots.holders(tx, job.slot_key)) < (job.slot_limit or 1)


def _no_slot(tx: Connection, key: str) -> Conflict:
    holders = tuple(job_slots.holders(tx, key))
    return Conflict("as many jobs with this `concurrency` key as its limit allows are active", jobs=holders)
