"""Jobs come in."""

from tork_celery.domain import transitions
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.services import permissions, plan_runner
from tork_celery.services.context import Coordinator


def submit(
    coordinator: Coordinator, definition: JobDefinition, *, created_by: str | None = None
) -> tuple[Job, Task]:
    """Store a job with its first task, then send that. Once this returns, the job cannot be lost.

    Raises InvalidInput for permissions of nobody, and DatastoreUnavailable; then nothing is stored.
    """
    with coordinator.database.transaction() as tx:
        permissions.check_permissions(tx, definition.permissions)
        now = coordinator.database.now(tx)
        plan = transitions.submit(definition, now=now, new_id=coordinator.new_id, created_by=created_by)
        plan_runner.add(tx, plan)
    plan_runner.follow_up(coordinator, plan_runner.Stored(plan=plan, now=now))
    return plan.job, plan.added[0]
