"""Limits of the values that are masked, and secrets in the names of queues."""

import json
from typing import Any

import pytest

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile import parse_job, parse_scheduled_job, parse_task

YAML, JSON = "text/yaml", "application/json"
TASK = {"name": "t", "image": "i"}
MANY = {f"k{number}": str(number) for number in range(1001)}
MANY_TOKENS = {f"TOKEN_{number}": str(number) for number in range(1001)}
TOO_MANY = "more than 1,000 values of the job are to be masked"
TOO_LARGE = "the values of the job that are to be masked exceed 1,048,576 bytes"


def fault_of(parse: Any, body: str, media_type: str = JSON) -> Fault:
    with pytest.raises(InvalidInput) as caught:
        parse(body.encode(), media_type)
    (fault,) = caught.value.faults
    return fault


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ({"secrets": MANY}, "secrets.k1000", TOO_MANY),
        ({"secrets": {"a": "x" * 2**20, "b": "y"}}, "secrets.b", TOO_LARGE),
        ({"inputs": MANY_TOKENS}, "inputs.TOKEN_1000", TOO_MANY),
        ({"tasks": [TASK, TASK | {"env": MANY_TOKENS}]}, "tasks[1].env.TOKEN_1000", TOO_MANY),
    ],
)
def test_number_and_size_of_masked_values_are_limited(keys: dict[str, Any], path: str, message: str) -> None:
    fault = fault_of(parse_job, json.dumps({"name": "j", "tasks": [TASK]} | keys))
    assert (fault.path, fault.message) == (path, message)


def test_limit_holds_for_a_task_and_a_scheduled_job() -> None:
    fault = fault_of(parse_task, json.dumps(TASK | {"env": MANY_TOKENS}))
    assert fault.path == "env.TOKEN_1000"
    scheduled = {"name": "j", "tasks": [TASK], "schedule": {"cron": "@daily"}, "secrets": MANY}
    assert fault_of(parse_scheduled_job, json.dumps(scheduled)).path == "secrets.k1000"


def test_fault_names_the_line_of_the_first_value_that_is_too_many() -> None:
    lines = "\n".join(f"  k{number}: '{number}'" for number in range(1001))
    fault = fault_of(parse_job, f"name: j\nsecrets:\n{lines}\ntasks:\n- {{name: t, image: i}}\n", YAML)
    assert (fault.path, fault.line) == ("secrets.k1000", 1003)


def test_values_of_plain_keys_and_templates_do_not_count() -> None:
    templates = {f"TOKEN_{number}": f"{{{{ secrets.k{number} }}}}" for number in range(1001)}
    plain = {f"k{number}": str(number) for number in range(2000)}
    body = {"name": "j", "tasks": [TASK | {"env": templates}], "inputs": plain}
    assert parse_job(json.dumps(body).encode(), JSON).inputs == plain


def test_a_certificate_of_130_kb_is_accepted() -> None:
    certificate = ("x" * 64 + "\n") * 2000
    body = {"name": "j", "tasks": [TASK], "secrets": {"ca": certificate}}
    assert parse_job(json.dumps(body).encode(), JSON).secrets == {"ca": certificate}


@pytest.mark.parametrize(
    "queue",
    ["{{ secrets.q }}", "q-{{ secrets['q'] }}", "{{ $env.secrets.q }}", "{{ $env['secrets'].q }}"],
)
def test_queue_must_not_use_secrets(queue: str) -> None:
    message = "must not use `secrets`: all users see the names of queues"
    fault = fault_of(parse_task, json.dumps(TASK | {"queue": queue}))
    assert (fault.path, fault.message) == ("queue", message)
    job = {"name": "j", "tasks": [TASK], "defaults": {"queue": queue}}
    assert fault_of(parse_job, json.dumps(job)).path == "defaults.queue"


@pytest.mark.parametrize(
    "queue", ["secrets", "{{ inputs.secrets }}", "{{ 'secrets' }}", "{{ tasks.secrets }}"]
)
def test_queue_may_be_called_secrets(queue: str) -> None:
    assert parse_task(json.dumps(TASK | {"queue": queue}).encode(), JSON).queue == queue
