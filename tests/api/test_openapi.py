"""The API describes itself, and does what it says."""

import re
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis import checks as every_check
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.store.stores import FlakyDatabase, change, job_now, store_job, tasks_of
from tork_celery.api import create_app, openapi
from tork_celery.api.context import ApiContext
from tork_celery.api.front.waits import WAIT_KEY
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

CHECKS = [
    every_check.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_every_route_is_described(client: FlaskClient) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in client.get("/openapi.json").json["paths"].items()
        for method in methods
    }
    there_are = {
        f"{method} {re.sub('<([^>]+)>', lambda found: '{' + found[1] + '}', rule.rule)}"
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == there_are


def test_the_schemas_are_right(client: FlaskClient) -> None:
    for schema in client.get("/openapi.json").json["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_schema_of_job_files_is_served(client: FlaskClient) -> None:
    assert client.get("/schema/job.json").json["then"] == {"$ref": "#/$defs/Job"}


def test_the_page_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    answer = client.get("/docs")

    assert answer.content_type == "text/html; charset=utf-8"
    assert "http://" not in answer.text
    assert "https://" not in answer.text


@pytest.fixture
def described_api(context: ServiceContext, database: FlakyDatabase) -> schemathesis.BaseSchema:
    """Return the description of an API with one job. Requests with `wait` return at once."""
    store_job(database)
    app = create_app(ApiContext(services=context, body_limit_bytes=100_000))

    def without_waiting(environment: dict[str, Any], start_response: Any) -> Any:
        return app(environment | {WAIT_KEY: []}, start_response)

    return schemathesis.openapi.from_wsgi("/openapi.json", without_waiting)


@pytest.mark.parametrize("route", openapi.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_whatever_is_asked_the_answer_is_one_that_is_described(
    described_api: schemathesis.BaseSchema, route: openapi.Route
) -> None:
    operation = described_api[route.path][route.method.upper()]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=8 if operation.method == "get" else 2,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


EVERYTHING: dict[str, Any] = {
    "name": "j",
    "description": "d",
    "tags": ["t"],
    "inputs": {"a": "b"},
    "secrets": {"key": "s3cr3t"},
    "output": "{{ 1 }}",
    "defaults": {"priority": 3, "retry": {"limit": 1}},
    "webhooks": [{"url": "http://localhost/x", "headers": {"A": "b"}}],
    "autoDelete": {"after": "1h"},
    "tasks": [
        {
            "name": "t",
            "image": "busybox",
            "env": {"A": "b"},
            "files": {"a": "b"},
            "registry": {"username": "u", "password": "p4ss"},
            "pre": [{"image": "busybox", "run": "true"}],
            "mounts": [{"type": "tmpfs", "target": "/a", "opts": {"size": "1m"}}],
            "volumes": ["/b"],
            "limits": {"cpus": 1},
            "sidecars": [{"name": "s", "image": "busybox", "probe": {"path": "/", "port": 80}}],
            "retry": {"limit": 2},
            "var": "x",
            "if": "true",
            "priority": 3,
        },
        {"name": "p", "parallel": {"tasks": [{"image": "busybox"}]}},
    ],
}


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.COMPLETED])
def test_the_answers_about_a_job_with_everything_are_those_described(
    client: FlaskClient, database: FlakyDatabase, state: JobState
) -> None:
    summary = client.post("/jobs", json=EVERYTHING).json
    job = job_now(database, summary["id"])
    [run] = tasks_of(database, job.id)
    change(database, run, state=TaskState(state), ended_at=5.0, node="n", losses=1, progress=1.0)
    with database.transaction() as tx:
        ended = replace(job, state=state, started_at=1.0, ended_at=5.0, delete_at=9.0, created_by="mia")
        jobs.save(tx, ended)
    whole = client.get("/openapi.json").json

    for name, answer in (
        ("JobSummary", summary),
        ("JobAnswer", client.get(f"/jobs/{job.id}").json),
        ("TaskAnswer", client.get(f"/tasks/{run.id}").json),
        ("JobPage", client.get("/jobs").json),
    ):
        described = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
        Draft202012Validator(described).validate(answer)
