"""Who is told of what, and how."""

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
from tork_celery.domain.webhooks import SkippedCall, StateSnapshot, WebhookCall
from tork_celery.expr import HostFunctions

URL = "http://example.com/hook"
SCHEDULED = StateSnapshot(JobState.SCHEDULED, 0.0)


def job(*hooks: Webhook, **values: Any) -> Job:
    definition = job_definition(
        webhooks=hooks, secrets={"key": "s3cret"}, inputs={"where": "there"}, name="a job"
    )
    return Job(**{"id": "j", "definition": definition, "state": JobState.RUNNING, "created_at": 0.0} | values)


def task(**values: Any) -> Task:
    return make_task(**{"id": "t", "job_id": "j", "state": TaskState.RUNNING} | values)


HOST = HostFunctions(now=lambda: datetime.fromtimestamp(0, UTC), randbelow=lambda n: n - 1)


def job_calls(before: StateSnapshot | None, after: Job) -> list[WebhookCall | SkippedCall]:
    return webhooks.job_calls(before, after, HOST)


def task_calls(job: Job, before: StateSnapshot | None, after: Task) -> list[WebhookCall | SkippedCall]:
    return webhooks.task_calls(job, before, after, HOST)


def only(told: list[WebhookCall | SkippedCall]) -> WebhookCall:
    [call] = told
    assert isinstance(call, WebhookCall), call
    return call


@pytest.mark.parametrize(
    ("event", "before", "told"),
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
def test_a_job_tells_of_what_has_changed(event: str, before: StateSnapshot | None, told: int) -> None:
    assert len(job_calls(before, job(Webhook(url=URL, event=event), progress=50.0))) == told


@pytest.mark.parametrize(
    ("event", "before", "told"),
    [
        ("task.StateChange", StateSnapshot(TaskState.SCHEDULED, 50.0), 1),
        ("task.StateChange", None, 1),
        ("task.StateChange", StateSnapshot(TaskState.RUNNING, 50.0), 0),
        ("task.Progress", StateSnapshot(TaskState.RUNNING, 0.0), 1),
        ("task.Progress", StateSnapshot(TaskState.RUNNING, 50.0), 0),
        ("job.StateChange", None, 0),
    ],
)
def test_a_task_tells_of_what_has_changed(event: str, before: StateSnapshot | None, told: int) -> None:
    found = task_calls(job(Webhook(url=URL, event=event)), before, task(progress=50.0))

    assert len(found) == told


@pytest.mark.covers("Webhook.event")
def test_a_webhook_hears_of_state_changes_of_the_job_unless_it_says_else() -> None:
    assert only(job_calls(SCHEDULED, job(Webhook(url=URL)))).event == "job.StateChange"


def test_the_body_is_the_summary_without_what_is_secret() -> None:
    ended = job(Webhook(url=URL), state=JobState.FAILED, error="it said s3cret", ended_at=1.0)

    body = json.loads(only(job_calls(SCHEDULED, ended)).body)

    assert {key: body[key] for key in ("id", "name", "state", "error", "position")} == {
        "id": "j",
        "name": "a job",
        "state": "FAILED",
        "error": "it said [REDACTED]",
        "position": 0,
    }
    assert "s3cret" not in json.dumps(body)


def test_of_a_task_it_is_the_tasks_without_what_it_runs() -> None:
    hook = Webhook(url=URL, event="task.StateChange")
    ended = task(
        state=TaskState.COMPLETED,
        result="s3cret!",
        definition=task_definition(run="echo s3cret", env={"A": "b"}, var="x"),
    )

    body = json.loads(only(task_calls(job(hook), None, ended)).body)

    assert {key: body[key] for key in ("id", "jobId", "state", "var", "result")} == {
        "id": "t",
        "jobId": "j",
        "state": "COMPLETED",
        "var": "x",
        "result": "[REDACTED]!",
    }
    assert not {"run", "env", "cmd", "image"} & set(body)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("{{ job.State == 'COMPLETED' }}", 1),
        ("{{ job.State == 'FAILED' }}", 0),
        ("job.ID == 'j' and job.Name == 'a job' and job.TaskCount > 0", 1),
        ("job.Error == '' and job.Progress == 0 and job.ParentID == ''", 1),
        ("job.State == job.state", 1),
    ],
)
def test_a_condition_may_spell_the_fields_as_tork_does(condition: str, told: int) -> None:
    ended = job(Webhook(url=URL, if_=condition), state=JobState.COMPLETED)

    assert len(job_calls(SCHEDULED, ended)) == told


def test_so_may_that_of_a_tasks_webhook() -> None:
    condition = "task.State == 'FAILED' and task.JobID == job.ID and task.Error == 'no' and task.Result == ''"
    hook = Webhook(url=URL, event="task.StateChange", if_=condition)

    told = task_calls(job(hook), SCHEDULED, task(state=TaskState.FAILED, error="no"))

    assert not {"State", "ID"} & set(json.loads(only(told).body))


@pytest.mark.covers("Webhook.url", "Webhook.headers")
def test_url_and_headers_are_templates() -> None:
    hook = Webhook(
        url="http://{{ inputs.where }}/{{ job.id }}/{{ tasks.x }}",
        headers={"Authorization": "Bearer {{ secrets.key }}", "X-State": "{{ job.state }}"},
    )

    call = only(job_calls(SCHEDULED, job(hook, results={"x": "8"})))

    assert call.url == "http://there/j/8"
    assert call.headers == {"Authorization": "Bearer s3cret", "X-State": "RUNNING"}


def test_of_a_task_they_see_the_task_too() -> None:
    hook = Webhook(url="http://h/{{ job.id }}/{{ task.id }}/{{ task.state }}", event="task.StateChange")

    assert only(task_calls(job(hook), None, task())).url == "http://h/j/t/RUNNING"


@pytest.mark.covers("Webhook.if")
@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("job.state == 'RUNNING'", 1),
        ("{{ job.state == 'RUNNING' }}", 1),
        ("job.state in ['FAILED', 'CANCELLED']", 0),
        ("'false'", 0),
        ("job.error != nil", 0),
        ("inputs.where == 'there' && secrets.key == 's3cret'", 1),
    ],
)
def test_a_condition_decides(condition: str, told: int) -> None:
    assert len(job_calls(SCHEDULED, job(Webhook(url=URL, if_=condition)))) == told


@pytest.mark.parametrize(
    ("hook", "place"),
    [
        (Webhook(url=URL, if_="1 + 'a'"), "webhooks[1].if"),
        (Webhook(url="http://{{ 1 / 'a' }}"), "webhooks[1].url"),
        (Webhook(url="{{ inputs.where }}"), "webhooks[1].url"),
        (Webhook(url="{{ inputs.nothing }}"), "webhooks[1].url"),
        (Webhook(url=URL, headers={"X": "{{ int('a') }}"}), "webhooks[1].headers.X"),
        (Webhook(url=URL, headers={"X": "{{ 'a\\nb' }}"}), "webhooks[1].headers.X"),
    ],
)
def test_what_cannot_be_evaluated_is_skipped_and_the_others_are_called(hook: Webhook, place: str) -> None:
    told = job_calls(SCHEDULED, job(Webhook(url=URL), hook, Webhook(url=URL)))

    assert [type(each) for each in told] == [WebhookCall, SkippedCall, WebhookCall]
    skipped = told[1]
    assert isinstance(skipped, SkippedCall)
    assert (skipped.job_id, skipped.place) == ("j", place)
    assert skipped.reason
    assert "there" not in skipped.reason


def test_calls_about_one_thing_to_one_receiver_are_one_stream() -> None:
    hooks = (Webhook(url=URL), Webhook(url=URL))
    first = job_calls(SCHEDULED, job(*hooks))
    second = job_calls(SCHEDULED, replace(job(*hooks), state=JobState.FAILED))

    streams = [[call.stream for call in told if isinstance(call, WebhookCall)] for told in (first, second)]

    assert streams == [["j-0", "j-1"], ["j-0", "j-1"]]


def test_the_delays_grow() -> None:
    assert [webhooks.delay_s(attempts=n) for n in (1, 2, 3, 4)] == [2.0, 10.0, 50.0, 250.0]
