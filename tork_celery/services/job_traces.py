"""Traces of ended jobs, for OpenTelemetry.

Each job is a trace and each attempt at a task a span of it. Names and errors are masked, as in the API. The
attributes are those of the semantic conventions for CI/CD, version 1.43:
https://opentelemetry.io/docs/specs/semconv/cicd/cicd-spans/

The ids follow from those of jobs and tasks, so a step knows its span before it is exported.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from tork_celery.domain import serializers, trace_ids
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, TaskState
from tork_celery.periodic_thread import survive_bugs
from tork_celery.store import Database, jobs, tasks

log = structlog.get_logger(__name__)

_WAITING_JOBS = 1_000
_SPANS_PER_EXPORT = 512
_STOP_WITHIN_S = 3.0
_ACTION = "RUN"
_RESULTS: dict[JobState | TaskState, str] = {
    JobState.COMPLETED: "success",
    JobState.FAILED: "failure",
    JobState.CANCELLED: "cancellation",
    TaskState.COMPLETED: "success",
    TaskState.FAILED: "failure",
    TaskState.CANCELLED: "cancellation",
    TaskState.STOPPED: "cancellation",
    TaskState.SKIPPED: "skip",
}


class JobTraces:
    """Exports the traces of jobs in a thread of its own. Thread-safe.

    A trace is exported once, and dropped if the collector does not take it or if too many wait.
    """

    def __init__(self, database: Database, exporter: SpanExporter, *, service_version: str) -> None:
        self._database = database
        self._exporter = exporter
        # The variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have precedence.
        defaults = {"service.name": "tork_celery", "service.version": service_version}
        self._resource = Resource(defaults).merge(Resource.create())
        self._waiting = queue.Queue[str | None](_WAITING_JOBS)
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Export what waits, for a few seconds at most, and end the thread."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_STOP_WITHIN_S)
        self._thread.join(_STOP_WITHIN_S)
        self._exporter.shutdown()

    def job_ended(self, job_id: str) -> None:
        """Export the trace of a job, soon."""
        with suppress(queue.Full):
            self._waiting.put_nowait(job_id)

    def _run(self) -> None:
        while (job_id := self._waiting.get()) is not None:
            with suppress(DatastoreUnavailable), survive_bugs("trace.failed", job_id=job_id):
                self._export(job_id)

    def _export(self, job_id: str) -> None:
        with self._database.reading() as tx:
            job = jobs.get(tx, job_id)
            execution = tasks.of_job(tx, job_id)
        if job is None:
            return
        spans = list(job_spans(job, execution, self._resource))
        for first in range(0, len(spans), _SPANS_PER_EXPORT):
            exported = self._exporter.export(spans[first : first + _SPANS_PER_EXPORT])
            if exported is not SpanExportResult.SUCCESS:
                log.warning("trace.not_exported", job_id=job_id)
                return


def job_spans(job: Job, execution: Sequence[Task], resource: Resource) -> Iterator[ReadableSpan]:
    """Yield the span of a job that has ended, then those of its tasks."""
    document = serializers.job(job, {}, execution)
    ended_at = job.ended_at or job.created_at
    yield _span(
        resource,
        ids=(job.id, job.id, None),
        name=f"{_ACTION} {document['name']}",
        kind=SpanKind.SERVER,
        attributes={
            "cicd.pipeline.name": document["name"],
            "cicd.pipeline.run.id": job.id,
            "cicd.pipeline.action.name": _ACTION,
            "cicd.pipeline.result": _result(job.state, document.get("error", "")),
        },
        error=document.get("error"),
        times=(job.created_at, job.started_at, ended_at),
    )
    for task, shown in zip(execution, document["execution"], strict=True):
        yield _span(
            resource,
            ids=(job.id, task.id, task.parent_id or job.id),
            name=shown["name"],
            kind=SpanKind.INTERNAL,
            attributes={
                "cicd.pipeline.task.name": shown["name"],
                "cicd.pipeline.task.run.id": task.id,
                "cicd.pipeline.task.run.result": _result(task.state, shown.get("error", "")),
                "tork.task.attempt": task.attempts + 1,
                "tork.task.queue": task.queue,
                **({"cicd.worker.name": task.node} if task.node else {}),
            },
            error=shown.get("error"),
            times=(task.created_at, task.started_at, task.ended_at or ended_at),
        )


def _span(
    resource: Resource,
    *,
    ids: tuple[str, str, str | None],
    name: str,
    kind: SpanKind,
    attributes: dict[str, Any],
    error: str | None,
    times: tuple[float, float | None, float],
) -> ReadableSpan:
    """Return a span.

    `ids` are those of its job, its own and its parent's; `times` its creation, start and end.
    """
    job_id, own_id, parent_id = ids
    created_at, started_at, ended_at = times
    return ReadableSpan(
        name=name,
        context=_context(job_id, own_id),
        parent=_context(job_id, parent_id) if parent_id else None,
        resource=resource,
        attributes=attributes | ({"error.type": _error_type(error)} if error else {}),
        events=[Event("started", timestamp=_nanoseconds(started_at))] if started_at else [],
        kind=kind,
        status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.OK),
        start_time=_nanoseconds(created_at),
        end_time=_nanoseconds(ended_at),
    )


def _context(job_id: str, id_: str) -> SpanContext:
    return SpanContext(
        trace_id=int(trace_ids.trace_id(job_id), 16),
        span_id=int(trace_ids.span_id(id_), 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _result(state: JobState | TaskState, error: str) -> str:
    result = _RESULTS.get(state, "error")
    return "timeout" if result == "failure" and _error_type(error) == "timeout" else result


def _error_type(error: str) -> str:
    """Return a class of errors, of which there are few."""
    if error.startswith("timed out"):
        return "timeout"
    return "exit_code" if error.startswith("exit code") else "failure"


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
