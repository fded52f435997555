"""Traces of ended jobs: a span for the job and one for each attempt at a task."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.domain.samples import job_definition, task_definition
from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, change, job_now, tasks_of
from tork_celery.bootstrap.traces import build_job_traces
from tork_celery.domain.definition import Parallel, TaskDefinition
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.services import job_control
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.services.job_traces import JobTraces
from tork_celery.services.submit import submit

PARALLEL = TaskDefinition(name="both", parallel=Parallel(tasks=(task_definition(), task_definition())))


class Collector(HTTPServer):
    """A collector of OpenTelemetry, which keeps the spans that it gets."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.received: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.received
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the base class
        """Log nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def traced(
    context: ServiceContext, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServiceContext]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    with running(build_job_traces(context.database)) as traces:
        yield replace(context, traces=traces)


@contextmanager
def running(traces: JobTraces | None) -> Iterator[JobTraces]:
    assert traces is not None
    traces.start()
    try:
        yield traces
    finally:
        traces.stop()


def fail(context: ServiceContext, task: Task, error: str) -> None:
    """Fail a task, as if a node had run it, and with it its job."""
    running = {"state": TaskState.RUNNING, "node": "n"}
    change(context.database, task, **running, outcome=Outcome.FAILED, ended_at=5.0, error=error)
    advance(context, task.id, task.delivery)


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_job_and_its_tasks_are_spans_of_one_trace(
    traced: ServiceContext, collector: Collector, database: FlakyDatabase
) -> None:
    job, _ = submit(traced, job_definition(PARALLEL, name="nightly build"))

    job_control.cancel(traced, job.id)

    execution = tasks_of(database, job.id)
    eventually(lambda: len(collector.spans) == 1 + len(execution))
    root, *of_tasks = collector.spans
    assert {span.trace_id.hex() for span in collector.spans} == {job.id}
    assert (root.name, root.span_id.hex(), root.parent_span_id) == ("RUN nightly build", job.id[:16], b"")
    assert attributes(root) == {
        "cicd.pipeline.name": "nightly build",
        "cicd.pipeline.run.id": job.id,
        "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.result": "cancellation",
    }
    assert root.end_time_unix_nano == pytest.approx((job_now(database, job.id).ended_at or 0) * 1e9)
    parents = {task.id[:16]: (task.parent_id or job.id)[:16] for task in execution}
    assert {span.span_id.hex(): span.parent_span_id.hex() for span in of_tasks} == parents
    assert {attributes(span)["cicd.pipeline.task.run.result"] for span in of_tasks} == {"cancellation"}


@pytest.mark.parametrize(
    ("error", "result", "type_"),
    [("exit code 3: no", "failure", "exit_code"), ("timed out after 2s", "timeout", "timeout")],
)
def test_error_is_the_status_of_the_span(
    traced: ServiceContext, collector: Collector, error: str, result: str, type_: str
) -> None:
    _, task = submit(traced, job_definition(task_definition()))
    fail(traced, task, error)

    eventually(lambda: len(collector.spans) == 2)
    span = collector.spans[1]
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, error)
    assert attributes(span)["cicd.pipeline.task.run.result"] == result
    assert attributes(span)["error.type"] == type_


def test_trace_shows_no_secret(traced: ServiceContext, collector: Collector) -> None:
    secret = "s3cr3t-value"
    definition = job_definition(
        task_definition(name=f"task {secret}"), name=f"job {secret}", secrets={"key": secret}
    )
    _, task = submit(traced, definition)
    fail(traced, task, f"exit code 1: {secret}")

    eventually(lambda: len(collector.spans) == 2)
    shown = str(collector.received)
    assert "[REDACTED]" in shown
    assert secret not in shown


def test_rejected_trace_does_not_stop_the_next_one(traced: ServiceContext, collector: Collector) -> None:
    collector.status = 400
    first, _ = submit(traced, job_definition(task_definition()))
    job_control.cancel(traced, first.id)
    eventually(lambda: len(collector.received) == 1)

    collector.status = 200
    second, _ = submit(traced, job_definition(task_definition()))
    job_control.cancel(traced, second.id)
    eventually(lambda: collector.spans[-1].trace_id.hex() == second.id)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_traces_are_off_without_a_collector(
    database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert build_job_traces(database) is None
