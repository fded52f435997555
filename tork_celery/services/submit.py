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
from tork_celery.services import job_slots, permissions, plan_runner
from tork_celery.services.context import ServiceContext
from tork_celery.store import audit, idempotency_keys


@dataclass(slots=True)
class _Submission:
    """A job to store. Of the submissions that share a transaction, the first one gets the tasks to send.

    `answered` says that the request has an answer already, so the job is not stored.
    """

    context: ServiceContext
    plan: Plan
    first_task: Task
    calls: Sequence[WebhookCall]
    actor: Actor | None
    answer_to: AnswerTo[tuple[Job, Task]] | None = None
    answered: bool = False
    sent: Sequence[Task] = ()

    @property
    def answer(self) -> Answer | None:
        return None if self.answer_to is None else self.answer_to((self.plan.job, self.first_task))


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

    A job whose `concurrency` leaves it no slot is stored without tasks and waits; the returned task is then
    not stored. `rerun_of` is the id of a job that runs again as this one. With `answer_to`, the answer to the
    request is stored in the same transaction. A job that was returned is never lost.

    Raises InvalidInput for permissions of unknown users or roles, Conflict if its `concurrency` rejects it or
    the request has an answer, and DatastoreUnavailable; then nothing is stored. An unavailable broker is not
    an error.
    """
    context.database.require_room()
    now = context.database.current_time()
    plan = transitions.submit(
        definition, now=now, random=context.random, created_by=created_by, rerun_of=rerun_of
    )
    calls = _checked_calls(context, plan)
    first = plan.added[0]
    submission = _Submission(context, plan, first, calls, actor, answer_to)
    context.database.group_commit.add(_store, submission)
    if submission.answered:
        context.publisher().send(submission.sent)
        raise KeyInUse
    plan = submission.plan
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
    _add_answers(tx, [each for each in submissions if not _needs_slot(each)])
    free = [each for each in submissions if not _needs_slot(each) and not each.answered]
    calls = [call for each in free for call in each.calls]
    plan_runner.store_new_jobs(tx, [each.plan for each in free], calls)
    for submission in sorted(filter(_needs_slot, submissions), key=lambda each: each.plan.job.slot_key or ""):
        _store_with_slot(tx, submission)
    stored = [each for each in submissions if not each.answered]
    changes = [(each.actor, each.plan.job.id) for each in stored if each.actor is not None]
    audit.record_all(tx, changes, Action.SUBMIT_JOB)
    first = submissions[0]
    first.sent = plan_runner.mark_sent(first.context, tx, [each.plan for each in stored])


def _needs_slot(submission: _Submission) -> bool:
    return submission.plan.job.slot_key is not None


def _store_with_slot(tx: Connection, submission: _Submission) -> None:
    """Store a job that starts or waits, by the slots of its concurrency key. Raises Conflict."""
    plan = job_slots.admitted(tx, submission.plan)
    if plan is not submission.plan:
        submission.plan, submission.calls = plan, webhook_outbox.calls_of_plan(tx, plan)
    _add_answers(tx, [submission])
    if not submission.answered:
        plan_runner.store_new_jobs(tx, [submission.plan], submission.calls)


def _add_answers(tx: Connection, submissions: Sequence[_Submission]) -> None:
    """Store the answers, in the order of their keys, and mark the requests that have one already."""
    answers = [(answer.key, answer, each) for each in submissions if (answer := each.answer) is not None]
    for _, answer, submission in sorted(answers, key=itemgetter(0)):
        submission.answered = not idempotency_keys.add(tx, answer)
