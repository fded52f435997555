"""Webhook calls: for which changes, with which content, and their back-off."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.domain.samples import job_definition, make_task, task_definition
from tork_celery.domain import webhooks
from tork_celery.domain.definition import Webhook
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, TaskState
from tork_celery.domain.webhooks import Environment, SkippedCall, StateSnapshot, WebhookCall
from tork_celery.expr import Budget, HostFunctions

URL = "http://example.com/hook"
SCHEDULED = StateSnapshot(JobState.SCHEDULED, 0.0)


def make_job(*webhooks_: Webhook, **values: Any) -> Job:
    definition = job_definition(
        webhooks=webhooks_, secrets={"key": "s3cret"}, inputs={"where": "there"}, name="a job"
    )
    defaults: dict[str, Any] = {
        "id": "j",
        "definition": definition,
        "state": JobState.RUNNING,
        "created_at": 0.0,
    }
    return Job(**(defaults | values))


def make_running_task(**values: Any) -> Task:
    return make_task(**{"id": "t", "job_id": "j", "state": TaskState.RUNNING} | values)


HOST = HostFunctions(now=lambda: datetime.fromtimestamp(0, UTC), randbelow=lambda n: n - 1)


def environment(*, results: dict[str, str] | None = None, steps: int = 10_000) -> Environment:
    return Environment(results=results or {}, host=HOST, budget=Budget(steps))


def job_calls(
    before: StateSnapshot | None, after: Job, *, results: dict[str, str] | None = None
) -> list[WebhookCall | SkippedCall]:
    return webhooks.job_calls(before, after, environment(results=results))


def task_calls(job: Job, before: StateSnapshot | None, after: Task) -> list[WebhookCall | SkippedCall]:
    return webhooks.task_calls(job, before, after, environment())


def only(calls: list[WebhookCall | SkippedCall]) -> WebhookCall:
    [call] = calls
    assert isinstance(call, WebhookCall), call
    return call


@pytest.mark.parametrize(
    ("event", "before", "count"),
    [
        ("job.StateChange", SCHEDULED, 1),
        ("job.StateChange", None, 1),
        ("job.StateChange", StateSnapshot(JobState.RUNNING, 0.0), 0),
        ("job.Progress", StateSnapshot(JobState.RUNNING, 0.0), 1),
        ("job.Progress", StateSnapshot(JobState.RUNNING, 50.0), 0),
        ("job.Progress", None, 0),
        ("task.StateChange", SCHEDULED, 0),
        ("task.Progress", SCHEDULED, 0),
    ],
)
def test_change_of_a_job_calls_the_webhooks_for_its_event(
    event: str, before: StateSnapshot | None, count: int
) -> None:
    assert len(job_calls(before, make_job(Webhook(url=URL, event=event), progress=50.0))) == count


@pytest.mark.parametrize(
    ("event", "before", "count"),
    [
        ("task.StateChange", StateSnapshot(TaskState.SCHEDULED, 50.0), 1),
        ("task.StateChange", None, 1),
        ("task.StateChange", StateSnapshot(TaskState.RUNNING, 50.0), 0),
        ("task.Progress", StateSnapshot(TaskState.RUNNING, 0.0), 1),
        ("task.Progress", StateSnapshot(TaskState.RUNNING, 50.0), 0),
        ("job.StateChange", None, 0),
    ],
)
def test_change_of_a_task_calls_the_webhooks_for_its_event(
    event: str, before: StateSnapshot | None, count: int
) -> None:
    calls = task_calls(make_job(Webhook(url=URL, event=event)), before, make_running_task(progress=50.0))

    assert len(calls) == count


@pytest.mark.covers("Webhook.event")
def test_default_event_is_the_state_change_of_the_job() -> None:
    assert only(job_calls(SCHEDULED, make_job(Webhook(url=URL)))).event == "job.StateChange"


def test_body_is_the_redacted_summary_of_the_job() -> None:
    ended = make_job(Webhook(url=URL), state=JobState.FAILED, error="the key is s3cret", ended_at=1.0)

    body = json.loads(only(job_calls(SCHEDULED, ended)).body)

    assert {key: body[key] for key in ("id", "name", "state", "error", "position")} == {
        "id": "j",
        "name": "a job",
        "state": "FAILED",
        "error": "the key is [REDACTED]",
        "position": 1,
    }
    assert "s3cret" not in json.dumps(body)


def test_body_is_the_redacted_summary_of_the_task() -> None:
    webhook = Webhook(url=URL, event="task.StateChange")
    ended = make_running_task(
        state=TaskState.COMPLETED,
        result="s3cret!",
        definition=task_definition(run="echo s3cret", env={"A": "b"}, var="x"),
    )

    body = json.loads(only(task_calls(make_job(webhook), None, ended)).body)

    assert {key: body[key] for key in ("id", "jobId", "state", "var", "result")} == {
        "id": "t",
        "jobId": "j",
        "state": "COMPLETED",
        "var": "x",
        "result": "[REDACTED]!",
    }
    assert not {"run", "env", "cmd", "image"} & set(body)


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("{{ job.State == 'COMPLETED' }}", 1),
        ("{{ job.State == 'FAILED' }}", 0),
        ("job.ID == 'j' and job.Name == 'a job' and job.TaskCount > 0", 1),
        ("job.Error == '' and job.Progress == 0 and job.ParentID == ''", 1),
        ("job.State == job.state", 1),
    ],
)
def test_condition_may_use_the_field_names_of_tork(condition: str, count: int) -> None:
    ended = make_job(Webhook(url=URL, if_=condition), state=JobState.COMPLETED)

    assert len(job_calls(SCHEDULED, ended)) == count


def test_condition_of_a_task_webhook_may_use_the_field_names_of_tork() -> None:
    condition = "task.State == 'FAILED' and task.JobID == job.ID and task.Error == 'no' and task.Result == ''"
    webhook = Webhook(url=URL, event="task.StateChange", if_=condition)

    calls = task_calls(make_job(webhook), SCHEDULED, make_running_task(state=TaskState.FAILED, error="no"))

    assert not {"State", "ID"} & set(json.loads(only(calls).body))


@pytest.mark.covers("Webhook.url", "Webhook.headers")
def test_url_and_headers_are_templates() -> None:
    webhook = Webhook(
        url="http://{{ inputs.where }}/{{ job.id }}/{{ tasks.x }}",
        headers={"Authorization": "Bearer {{ secrets.key }}", "X-State": "{{ job.state }}"},
    )

    call = only(job_calls(SCHEDULED, make_job(webhook), results={"x": "8"}))

    assert call.url == "http://there/j/8"
    assert call.headers == {"Authorization": "Bearer s3cret", "X-State": "RUNNING"}


def test_templates_see_the_time_and_random_numbers_of_the_host() -> None:
    webhook = Webhook(url="http://h/{{ now().Unix() }}/{{ randomInt(5) }}")

    assert only(job_calls(SCHEDULED, make_job(webhook))).url == "http://h/0/4"


def test_templates_of_a_task_webhook_see_the_task() -> None:
    webhook = Webhook(url="http://h/{{ job.id }}/{{ task.id }}/{{ task.state }}", event="task.StateChange")

    assert only(task_calls(make_job(webhook), None, make_running_task())).url == "http://h/j/t/RUNNING"


@pytest.mark.covers("Webhook.if")
@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("job.state == 'RUNNING'", 1),
        ("{{ job.state == 'RUNNING' }}", 1),
        ("job.state in ['FAILED', 'CANCELLED']", 0),
        ("'false'", 0),
        ("job.error != nil", 0),
        ("inputs.where == 'there' && secrets.key == 's3cret'", 1),
    ],
)
def test_false_condition_makes_no_call(condition: str, count: int) -> None:
    assert len(job_calls(SCHEDULED, make_job(Webhook(url=URL, if_=condition)))) == count


@pytest.mark.parametrize(
    ("webhook", "place"),
    [
        (Webhook(url=URL, if_="1 + 'a'"), "webhooks[1].if"),
        (Webhook(url="http://{{ 1 / 'a' }}"), "webhooks[1].url"),
        (Webhook(url="{{ inputs.where }}"), "webhooks[1].url"),
        (Webhook(url="{{ inputs.nothing }}"), "webhooks[1].url"),
        (Webhook(url=URL, headers={"X": "{{ int('a') }}"}), "webhooks[1].headers.X"),
        (Webhook(url=URL, headers={"X": "{{ 'a\\nb' }}"}), "webhooks[1].headers.X"),
    ],
)
def test_webhook_that_cannot_be_evaluated_is_skipped_and_the_others_are_called(
    webhook: Webhook, place: str
) -> None:
    calls = job_calls(SCHEDULED, make_job(Webhook(url=URL), webhook, Webhook(url=URL)))

    assert [type(call) for call in calls] == [WebhookCall, SkippedCall, WebhookCall]
    skipped = calls[1]
    assert isinstance(skipped, SkippedCall)
    assert (skipped.job_id, skipped.place) == ("j", place)
    assert skipped.reason
    assert "there" not in skipped.reason


def test_calls_of_one_webhook_about_one_object_are_one_stream() -> None:
    webhooks_ = (Webhook(url=URL), Webhook(url=URL))
    first = job_calls(SCHEDULED, make_job(*webhooks_))
    second = job_calls(SCHEDULED, replace(make_job(*webhooks_), state=JobState.FAILED))

    streams = [[call.stream for call in calls if isinstance(call, WebhookCall)] for calls in (first, second)]

    assert streams == [["j-0", "j-1"], ["j-0", "j-1"]]


def test_delays_grow_exponentially() -> None:
    assert [webhooks.delay_s(attempts=n) for n in (1, 2, 3, 4)] == [2.0, 10.0, 50.0, 250.0]
