"""Submit jobs. Concurrent submissions share a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import KeyInUse
from tork_celery.domain.idempotency import Answer, AnswerTo
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services import permissions, plan_runner
from tork_celery.services.context import ServiceContext
from tork_celery.store import audit, idempotency_keys


@dataclass(slots=True)
class _Submission:
    """A job to store. Of the submissions that share a transaction, the first one gets the tasks to send.

    `answered` says that the request has an answer already, so the job is not stored.
    """

    context: ServiceContext
    plan: Plan
    calls: Sequence[WebhookCall]
    actor: Actor | None
    answer: Answer | None = None
    answered: bool = False
    sent: Sequence[Task] = ()


def submit(
    context: ServiceContext,
    definition: JobDefinition,
    *,
    created_by: str | None = None,
    actor: Actor | None = None,
    answer_to: AnswerTo[tuple[Job, Task]] | None = None,
    rerun_of: str | None = None,
) -> tuple[Job, Task]:
    """Store a job with its first task, then send the task if the window of its queue has room.

    `rerun_of` is the id of a job that runs again as this one. With `answer_to`, the answer to the request is
    stored in the same transaction. A job that was returned is never lost. Raises InvalidInput for permissions
    of unknown users or roles, KeyInUse if the request has an answer, and DatastoreUnavailable; then nothing
    is stored. An unavailable broker is not an error.
    """
    context.database.require_room()
    now = context.database.current_time()
    plan = transitions.submit(
        definition, now=now, random=context.random, created_by=created_by, rerun_of=rerun_of
    )
    calls = _checked_calls(context, plan)
    first = plan.added[0]
    answer = None if answer_to is None else answer_to((plan.job, first))
    submission = _Submission(context, plan, calls, actor, answer)
    context.database.group_commit.add(_store, submission)
    if submission.answered:
        context.publisher().send(submission.sent)
        raise KeyInUse
    plan_runner.follow_up(context, plan_runner.StoredPlan(plan=plan, sent=submission.sent))
    return plan.job, next((task for task in submission.sent if task.id == first.id), first)


def _checked_calls(context: ServiceContext, plan: Plan) -> Sequence[WebhookCall]:
    """Return the webhook calls that report a new job. Raises InvalidInput for permissions of unknown users.

    Most jobs have neither webhooks nor permissions, and cost no query.
    """
    permissions_of_job = plan.job.definition.permissions
    if not permissions_of_job and not webhook_outbox.may_report(plan):
        return ()
    with context.database.reading() as tx:  # evaluates expressions, so it takes no lock
        permissions.check_grantees(tx, permissions_of_job)
        return webhook_outbox.calls_of_plan(tx, plan)


def _store(tx: Connection, submissions: Sequence[_Submission]) -> None:
    _add_answers(tx, submissions)
    first = submissions[0]
    submissions = [each for each in submissions if not each.answered]
    calls = [call for each in submissions for call in each.calls]
    plan_runner.store_new_jobs(tx, [each.plan for each in submissions], calls)
    changes = [(each.actor, each.plan.job.id) for each in submissions if each.actor is not None]
    audit.record_all(tx, changes, Action.SUBMIT_JOB)
    first.sent = plan_runner.mark_sent(first.context, tx, [each.plan for each in submissions])


def _add_answers(tx: Connection, submissions: Sequence[_Submission]) -> None:
    """Store the answers, in the order of their keys, and mark the requests that have one already."""
    answers = [(each.answer.key, each.answer, each) for each in submissions if each.answer is not None]
    for _, answer, submission in sorted(answers, key=itemgetter(0)):
        submission.answered = not idempotency_keys.add(tx, answer)
