"""What webhooks are told of, whom they call, and how often a call is tried."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tork_celery import expr
from tork_celery.domain import evaluation
from tork_celery.domain.codec import Document
from tork_celery.domain.definition import Webhook
from tork_celery.domain.evaluation import context
from tork_celery.domain.model import Job, Task
from tork_celery.domain.redaction import secrets_of_job
from tork_celery.domain.serializers import job_summary, task_summary

JOB_STATE, JOB_PROGRESS = "job.StateChange", "job.Progress"
TASK_STATE, TASK_PROGRESS = "task.StateChange", "task.Progress"
EVENTS = (JOB_STATE, JOB_PROGRESS, TASK_STATE, TASK_PROGRESS)

MOST_ATTEMPTS = 5
_FIRST_DELAY_S, _DELAY_FACTOR = 2.0, 5.0

_LONGEST_URL = 8192
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # for a URL or a header

_TORK_IDS = {"id": "ID", "jobId": "JobID", "parentId": "ParentID", "nodeId": "NodeID"}
_TORK_EMPTY: Document = {
    **dict.fromkeys(("parentId", "description", "result", "error", "var"), ""),
    **dict.fromkeys(("position", "taskCount", "progress"), 0),
}
"""What a summary leaves out because it is empty, and Tork's expressions see as empty."""


class StateSnapshot(NamedTuple):
    """How a job or a task stood before it changed."""

    state: str
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCall:
    """A request to make. Those of one `stream` are made one after the other: a receiver hears of what happens
    to a job, or to a task, in order."""

    stream: str
    job_id: str
    event: str
    url: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedCall:
    """A call that cannot be made, and why; `place` is where the job's definition is at fault."""

    job_id: str
    event: str
    place: str
    reason: str


def of_job(before: StateSnapshot | None, after: Job) -> list[WebhookCall | SkippedCall]:
    """What is to be told of a job that has changed, or is new."""
    events = _events(before, after.state, after.progress, JOB_STATE, JOB_PROGRESS)
    if not (hooks := _listening(after, events)):
        return []
    summary = job_summary(after)
    return _told(after, after.id, hooks, summary, {"job": _seen(summary)})


def of_task(job: Job, before: StateSnapshot | None, after: Task) -> list[WebhookCall | SkippedCall]:
    """The same of a task of the job."""
    events = _events(before, after.state, after.progress, TASK_STATE, TASK_PROGRESS)
    if not (hooks := _listening(job, events)):
        return []
    summary = task_summary(after, secrets_of_job(job.definition))
    return _told(job, after.id, hooks, summary, {"job": _seen(job_summary(job)), "task": _seen(summary)})


def is_url(text: str) -> bool:
    """Whether a webhook can call it."""
    return len(text) <= _LONGEST_URL and _URL.fullmatch(text) is not None


def hears_of_tasks(job: Job) -> bool:
    """Whether any webhook of the job is told of its tasks."""
    return any(hook.event in (TASK_STATE, TASK_PROGRESS) for hook in job.definition.webhooks)


def delay_s(*, attempts: int) -> float:
    """The seconds to wait after so many attempts."""
    return _FIRST_DELAY_S * _DELAY_FACTOR ** (attempts - 1)


def _events(
    before: StateSnapshot | None, state: str, progress: float, state_event: str, progress_event: str
) -> list[str]:
    events = []
    if before is None or before.state != state:
        events.append(state_event)
    if before is not None and before.progress != progress:
        events.append(progress_event)
    return events


def _listening(job: Job, events: Collection[str]) -> list[tuple[int, Webhook]]:
    """The webhooks of a job that are told of one of these events, each with its index."""
    return [(index, hook) for index, hook in enumerate(job.definition.webhooks) if hook.event in events]


def _told(
    job: Job, subject_id: str, hooks: Iterable[tuple[int, Webhook]], summary: Document, seen: Document
) -> list[WebhookCall | SkippedCall]:
    body = json.dumps(summary)
    names = context(job, json.loads(json.dumps(seen)))  # as JSON has it: states are plain texts
    told: list[WebhookCall | SkippedCall] = []
    for index, hook in hooks:
        try:
            if _wanted(hook, names):
                told.append(_call(hook, names, stream=f"{subject_id}-{index}", job_id=job.id, body=body))
        except _Unfit as fault:
            place = f"webhooks[{index}].{fault.key}"
            told.append(SkippedCall(job_id=job.id, event=hook.event, place=place, reason=str(fault)))
    return told


def _seen(summary: Document) -> Document:
    """A summary as expressions see it: each field by its own name and by Tork's, `state` and `State`."""
    tork = {_tork_name(key): value for key, value in (_TORK_EMPTY | summary).items()}
    return summary | tork


def _tork_name(key: str) -> str:
    return _TORK_IDS.get(key) or key[:1].upper() + key[1:]


def _call(hook: Webhook, names: Mapping[str, object], *, stream: str, job_id: str, body: str) -> WebhookCall:
    url, headers = _url(hook, names), _headers(hook, names)
    return WebhookCall(stream=stream, job_id=job_id, event=hook.event, url=url, headers=headers, body=body)


class _Unfit(Exception):
    """A part of a webhook is not fit to make a call with."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def _wanted(hook: Webhook, names: Mapping[str, object]) -> bool:
    if hook.if_ is None:
        return True
    try:
        return evaluation.holds(expr.evaluate_whole(hook.if_, names, evaluation.HOST))
    except expr.ExpressionError as error:
        raise _Unfit("if", str(error)) from error


def _url(hook: Webhook, names: Mapping[str, object]) -> str:
    url = _text("url", hook.url, names)
    if not is_url(url):
        raise _Unfit("url", "it yields no URL that begins with http:// or https://")
    return url


def _headers(hook: Webhook, names: Mapping[str, object]) -> dict[str, str]:
    return {key: _text(f"headers.{key}", text, names) for key, text in hook.headers.items()}


def _text(key: str, text: str, names: Mapping[str, object]) -> str:
    try:
        rendered = expr.render(text, names, evaluation.HOST)
    except expr.ExpressionError as error:
        raise _Unfit(key, str(error)) from error
    if _UNFIT.search(rendered):
        raise _Unfit(key, "it yields a text with control characters")
    return rendered
