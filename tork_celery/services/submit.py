"""Submit jobs."""

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.services import permissions, plan_runner
from tork_celery.services.context import ServiceContext
from tork_celery.store import audit


def submit(
    context: ServiceContext,
    definition: JobDefinition,
    *,
    created_by: str | None = None,
    actor: Actor | None = None,
) -> tuple[Job, Task]:
    """Store a job with its first task, then send the task. A job that was returned is never lost.

    Raises InvalidInput for permissions of unknown users or roles, and DatastoreUnavailable; then nothing is
    stored. An unavailable broker is not an error.
    """
    context.database.require_room()
    with context.database.reading() as tx:  # evaluates expressions, so it takes no lock
        permissions.check_grantees(tx, definition.permissions)
        now = context.database.now(tx)
        plan = transitions.submit(definition, now=now, random=context.random, created_by=created_by)
        calls = webhook_outbox.calls_of_plan(tx, plan)
    with context.database.transaction() as tx:
        plan_runner.store_new_job(tx, plan, calls)
        audit.record(tx, actor, Action.SUBMIT_JOB, plan.job.id)
    plan_runner.follow_up(context, plan_runner.StoredPlan(plan=plan, now=now))
    return plan.job, plan.added[0]
