"""Run jobs again, as new jobs."""

from tork_celery import jobfile
from tork_celery.domain import rerun
from tork_celery.domain.audit import Actor
from tork_celery.domain.errors import NotFound
from tork_celery.domain.idempotency import AnswerTo
from tork_celery.domain.model import Job, Task
from tork_celery.domain.rerun import Rerun
from tork_celery.domain.user import User
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store import jobs


def rerun_job(
    context: ServiceContext,
    job_id: str,
    change: Rerun,
    *,
    image_required: bool = True,
    user: User | None = None,
    actor: Actor | None = None,
    answer_to: AnswerTo[tuple[Job, Task]] | None = None,
) -> tuple[Job, Task]:
    """Submit a new job with the definition of a stored one, and return it with its first task.

    Raises NotFound, InvalidInput, Forbidden, and the errors of `submit`.
    """
    with context.database.reading() as tx:
        job = jobs.get(tx, job_id)
    if job is None:
        raise NotFound(f"no job with the id {job_id!r}")
    file = None
    if change.file is not None:
        file = jobfile.parse_job(change.file.encode(), "text/yaml", image_required=image_required)
    trusted = user is None or user.is_admin or user.username == job.created_by
    return submit(
        context,
        rerun.definition(job.definition, change, file, keeps_secrets=trusted),
        created_by=None if user is None else user.username,
        actor=actor,
        answer_to=answer_to,
        rerun_of=job.id,
    )
