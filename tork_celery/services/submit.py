"""Jobs come in."""

from tork_celery.domain import transitions
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.services import access, moves
from tork_celery.services.coordinator import Coordinator


def submit(
    coordinator: Coordinator, definition: JobDefinition, *, created_by: str | None = None
) -> tuple[Job, Task]:
    """Store a job with its first task, then send that. Once this returns, the job cannot be lost.

    Raises InvalidInput for permissions of nobody, and DatastoreUnavailable; then nothing is stored.
    """
    with coordinator.database.transaction() as tx:
        access.check_permissions(tx, definition.permissions)
        now = coordinator.database.now(tx)
        plan = transitions.submit(definition, now=now, new_id=coordinator.new_id, created_by=created_by)
        moves.add(tx, plan)
    moves.follow_up(coordinator, moves.Stored(plan=plan, now=now))
    return plan.job, plan.added[0]
