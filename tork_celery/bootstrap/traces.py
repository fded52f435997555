"""The export of traces, which the variables of OpenTelemetry turn on."""

import os
from typing import TYPE_CHECKING

import structlog

from tork_celery import settings
from tork_celery.bootstrap.services import VERSION
from tork_celery.store import Database

if TYPE_CHECKING:
    from tork_celery.services.job_traces import JobTraces

log = structlog.get_logger(__name__)


def build_job_traces(database: Database) -> "JobTraces | None":
    """Return what exports the traces of jobs. None if they are off, or if the extra is not installed."""
    if not settings.exports_traces(os.environ):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  an extra
            OTLPSpanExporter,
        )

        from tork_celery.services.job_traces import JobTraces  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'tork_celery[opentelemetry]'"
        log.warning("traces.off", reason=f"OpenTelemetry is not installed: {error}", hint=hint)
        return None
    return JobTraces(database, OTLPSpanExporter(), service_version=VERSION)
