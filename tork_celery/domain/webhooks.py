"""Which webhook calls a change of a job or task causes, what they contain, and when they are tried again."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from tork_celery import expr
from tork_celery.domain import evaluation
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.codec import Document
from tork_celery.domain.definition import Webhook
from tork_celery.domain.masking import MaskedValues, job_values
from tork_celery.domain.model import Job, Task
from tork_celery.domain.serializers import job_summary, task_summary

JOB_STATE, JOB_PROGRESS = "job.StateChange", "job.Progress"
TASK_STATE, TASK_PROGRESS = "task.StateChange", "task.Progress"
EVENTS = (JOB_STATE, JOB_PROGRESS, TASK_STATE, TASK_PROGRESS)

MAX_STEPS = 250_000
"""Evaluation steps of the webhooks of one transaction: about a quarter of a second."""
_STEPS_OF_A_CALL = 10  # so that the number of calls is bounded, too

MAX_ATTEMPTS = 5
_BACKOFF = Backoff(first_s=2.0, longest_s=1250.0, factor=5.0)

_MAX_URL_CHARS = 8192
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")
_CONTROL_CHARACTER = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # not allowed in a URL or a header

_TORK_IDS = {"id": "ID", "jobId": "JobID", "parentId": "ParentID", "nodeId": "NodeID"}
_TORK_EMPTY: Document = {
    **dict.fromkeys(("parentId", "description", "result", "error", "var"), ""),
    **dict.fromkeys(("position", "taskCount", "progress"), 0),
}
"""Fields that a summary omits when they are empty, with the value that expressions see in Tork."""


class StateSnapshot(NamedTuple):
    """The state and progress of a job or task before a change."""

    state: str
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCall:
    """A request to make.

    Calls of one `stream` are made one after the other, so that a receiver gets the events of a job or task in
    order.
    """

    stream: str
    job_id: str
    event: str
    url: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedCall:
    """A call that cannot be made. `place` is the field of the job's definition that is the cause."""

    job_id: str
    event: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the expressions of a job's webhooks use: the results of its tasks by `var`, functions of the host,
    and a budget of steps that all calls of a transaction share."""

    results: expr.MapSource
    host: expr.HostFunctions
    budget: expr.Budget


def job_calls(
    before: StateSnapshot | None, after: Job, environment: Environment
) -> list[WebhookCall | SkippedCall]:
    """Return the calls for a job that has changed, or is new (`before` is None)."""
    events = _events(before, after.state, after.progress, JOB_STATE, JOB_PROGRESS)
    if not (webhooks := _webhooks_for(after, events)):
        return []
    summary = job_summary(after)
    builder = _CallBuilder.of(after, {"job": _with_tork_names(summary)}, environment)
    return builder.calls(webhooks, subject_id=after.id, body=json.dumps(summary))


def task_calls(
    job: Job, before: StateSnapshot | None, after: Task, environment: Environment
) -> list[WebhookCall | SkippedCall]:
    """Return the calls for a task of `job` that has changed, or is new (`before` is None)."""
    events = _events(before, after.state, after.progress, TASK_STATE, TASK_PROGRESS)
    if not (webhooks := _webhooks_for(job, events)):
        return []
    summary = task_summary(after, job_values(job.definition))
    names = {"job": _with_tork_names(job_summary(job)), "task": _with_tork_names(summary)}
    builder = _CallBuilder.of(job, names, environment)
    return builder.calls(webhooks, subject_id=after.id, body=json.dumps(summary))


def is_url(text: str) -> bool:
    """Return whether a webhook can call this URL."""
    return len(text) <= _MAX_URL_CHARS and _URL.fullmatch(text) is not None


def task_webhooks(job: Job) -> int:
    """Return the number of webhooks of the job that are called for events of its tasks."""
    return sum(webhook.event in (TASK_STATE, TASK_PROGRESS) for webhook in job.definition.webhooks)


def delay_s(*, attempts: int) -> float:
    """Return the seconds to wait after this number of failed attempts, at least one."""
    return _BACKOFF.delay_s(attempts - 1)


def _events(
    before: StateSnapshot | None, state: str, progress: float, state_event: str, progress_event: str
) -> list[str]:
    events = []
    if before is None or before.state != state:
        events.append(state_event)
    if before is not None and before.progress != progress:
        events.append(progress_event)
    return events


def _webhooks_for(job: Job, events: Collection[str]) -> list[tuple[int, Webhook]]:
    """Return the webhooks of a job for these events, each with its index."""
    return [
        (index, webhook) for index, webhook in enumerate(job.definition.webhooks) if webhook.event in events
    ]


def _with_tork_names(summary: Document) -> Document:
    """Return a summary with each field also under the name that Tork has for it: `state` and `State`."""
    return summary | {_tork_name(key): value for key, value in (_TORK_EMPTY | summary).items()}


def _tork_name(key: str) -> str:
    return _TORK_IDS.get(key) or key[:1].upper() + key[1:]


class _CannotCall(Exception):
    """A field of a webhook, `key`, cannot be evaluated, or its value does not fit."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


@dataclass(frozen=True, slots=True)
class _CallBuilder:
    """Evaluates the webhooks of a job."""

    job: Job
    names: evaluation.Context
    environment: Environment

    @classmethod
    def of(cls, job: Job, scope: Document, environment: Environment) -> Self:
        plain = json.loads(json.dumps(scope))  # states become plain text
        return cls(job, evaluation.context(job, environment.results, plain), environment)

    def calls(
        self, webhooks: Iterable[tuple[int, Webhook]], *, subject_id: str, body: str
    ) -> list[WebhookCall | SkippedCall]:
        calls: list[WebhookCall | SkippedCall] = []
        for index, webhook in webhooks:
            try:
                self._count_call()
                if self._condition_holds(webhook):
                    calls.append(self._call(webhook, stream=f"{subject_id}-{index}", body=body))
            except _CannotCall as error:
                calls.append(
                    SkippedCall(
                        job_id=self.job.id,
                        event=webhook.event,
                        place=f"webhooks[{index}].{error.key}",
                        reason=MaskedValues(job_values(self.job.definition)).mask(str(error)),
                    )
                )
        return calls

    def _call(self, webhook: Webhook, *, stream: str, body: str) -> WebhookCall:
        return WebhookCall(
            stream=stream,
            job_id=self.job.id,
            event=webhook.event,
            url=self._url(webhook),
            headers={key: self._text(f"headers.{key}", text) for key, text in webhook.headers.items()},
            body=body,
        )

    def _count_call(self) -> None:
        budget = self.environment.budget
        if budget.left < _STEPS_OF_A_CALL:
            raise _CannotCall(
                "url", "too many webhook calls, or expressions with too many steps, at one time"
            )
        budget.left -= _STEPS_OF_A_CALL

    def _condition_holds(self, webhook: Webhook) -> bool:
        if webhook.if_ is None:
            return True
        try:
            value = expr.evaluate_whole(
                webhook.if_, self.names, self.environment.host, budget=self.environment.budget
            )
            return evaluation.is_true(value)
        except expr.ExpressionError as error:
            raise _CannotCall("if", str(error)) from error

    def _url(self, webhook: Webhook) -> str:
        url = self._text("url", webhook.url)
        if not is_url(url):
            raise _CannotCall("url", "must be a URL that begins with http:// or https://")
        return url

    def _text(self, key: str, text: str) -> str:
        try:
            rendered = expr.render(text, self.names, self.environment.host, budget=self.environment.budget)
        except expr.ExpressionError as error:
            raise _CannotCall(key, str(error)) from error
        if _CONTROL_CHARACTER.search(rendered):
            raise _CannotCall(key, "must not contain control characters")
        return rendered
