"""The description of the API is complete, and responses conform to it."""

import re
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.documents import document
from tests.store.stores import FlakyDatabase, change, job_now, store_job, tasks_of
from tork_celery.api import create_app, openapi
from tork_celery.api.context import ApiContext
from tork_celery.api.front.body_streams import BODY_KEY
from tork_celery.api.front.waits import WAIT_KEY
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
JOB_FILES = {"Job", "Task", "ScheduledJob"}
"""Schemas of bodies of which it takes a second to generate one."""


def test_all_routes_are_described(client: FlaskClient) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in document(client.get("/openapi.json"))["paths"].items()
        for method in methods
    }
    existing = {
        f"{method} {re.sub('<([^>]+)>', lambda match: '{' + match[1] + '}', rule.rule)}"
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == existing


def test_schemas_are_valid(client: FlaskClient) -> None:
    for schema in document(client.get("/openapi.json"))["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_schema_of_job_files_is_served(client: FlaskClient) -> None:
    assert document(client.get("/schema/job.json"))["then"] == {"$ref": "#/$defs/Job"}


def test_docs_page_loads_nothing_from_other_hosts(client: FlaskClient) -> None:
    response = client.get("/docs")

    assert response.content_type == "text/html; charset=utf-8"
    assert "http://" not in response.text
    assert "https://" not in response.text


@pytest.fixture
def described_api(context: ServiceContext, database: FlakyDatabase) -> schemathesis.BaseSchema:
    """Return the description of an API with one job. Requests with `wait` return at once."""
    store_job(database)
    app = create_app(ApiContext(services=context, body_limit_bytes=100_000))

    def without_waiting(environment: dict[str, Any], start_response: Any) -> Any:
        return app(environment | {WAIT_KEY: [], BODY_KEY: []}, start_response)

    return schemathesis.openapi.from_wsgi("/openapi.json", without_waiting)


@pytest.mark.slow  # most of it makes random job files
@pytest.mark.parametrize("route", openapi.ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_responses_to_random_requests_conform(
    described_api: schemathesis.BaseSchema, route: openapi.Route
) -> None:
    operation = described_api[route.path][route.method.upper()]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=3 if route.body in JOB_FILES else 20,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS)

    send()


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
def test_responses_about_a_job_with_all_keys_conform(
    client: FlaskClient, database: FlakyDatabase, state: JobState
) -> None:
    summary = document(client.post("/jobs", json=EVERYTHING))
    job = job_now(database, summary["id"])
    [run] = tasks_of(database, job.id)
    change(database, run, state=TaskState(state), ended_at=5.0, node="n", losses=1, progress=1.0)
    with database.transaction() as tx:
        ended = replace(job, state=state, started_at=1.0, ended_at=5.0, delete_at=9.0, created_by="mia")
        jobs.save(tx, ended)
    components = document(client.get("/openapi.json"))["components"]

    for name, response in (
        ("JobSummary", summary),
        ("JobResponse", document(client.get(f"/jobs/{job.id}"))),
        ("TaskResponse", document(client.get(f"/tasks/{run.id}"))),
        ("JobPage", document(client.get("/jobs"))),
    ):
        described = {"$ref": f"#/components/schemas/{name}", "components": components}
        Draft202012Validator(described).validate(response)
