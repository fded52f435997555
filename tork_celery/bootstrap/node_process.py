"""Processes that serve Celery queues: coordinators and workers."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog
from celery import Celery

from tork_celery import presence
from tork_celery.bootstrap.datastore import build_database, check_datastore, cluster_id
from tork_celery.bootstrap.full_disk import disk_limits, freeing_full_disk
from tork_celery.bootstrap.runtime import build_runtime, task_defaults
from tork_celery.bootstrap.services import build_service_context, describe_node
from tork_celery.bootstrap.traces import build_job_traces
from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.node_process import NodeProcess
from tork_celery.outages import OutageLog, until_available
from tork_celery.settings import Settings, exports_traces
from tork_celery.store import Database
from tork_celery.worker.host_environment import HostEnvironment
from tork_celery.worker.worker import Worker

log = structlog.get_logger(__name__)


def build_node_process(
    settings: Settings,
    app: Celery,
    *,
    name: str,
    queues: Sequence[str],
    slots: int,
    terminate: Callable[[], None],
) -> NodeProcess:
    """Build a process that serves Celery queues, as the node `name`. Waits for the datastore and the engine.

    It is a coordinator if it serves the control queue, and a worker if it serves any other. `terminate` ends
    the process. Raises ConfigurationError.
    """
    database = build_database(settings, slots=slots, log_outages=True)
    check_datastore(database)
    Dispatcher(app).check_access()
    node = describe_node(name, queues=queues, slots=slots)
    worker = None
    if set(queues) != {CONTROL_QUEUE}:
        check_name = partial(presence.check_name, database, node, lease_s=settings.lease_s)
        until_available(check_name, database.outages)  # before the wait for the engine
        worker = build_worker(settings, app, database, node=name, slots=slots)
        # The disk may be full: free some space before anything is written to the datastore.
        until_available(worker.free_disk_space, database.outages, worker.engine_outages)
    claim_name = partial(presence.claim_name, database, node, lease_s=settings.lease_s)
    until_available(partial(freeing_full_disk, settings, claim_name), database.outages)
    coordinates = CONTROL_QUEUE in queues
    context = build_service_context(settings, app, database)
    return NodeProcess(
        replace(context, traces=build_job_traces(database)) if coordinates else context,
        node,
        worker=worker,
        coordinates=coordinates,
        heartbeat_s=settings.heartbeat_s,
        terminate=terminate,
    )


def build_worker(settings: Settings, app: Celery, database: Database, *, node: str, slots: int) -> Worker:
    """Build a worker, and wait until its engine answers. Raises ConfigurationError."""
    cluster = until_available(partial(cluster_id, database), database.outages)
    runtime = build_runtime(settings, cluster=cluster, node=node, slots=slots)
    log_sandboxes_off(settings)
    engine_outages = OutageLog("engine", EngineUnavailable)
    until_available(runtime.check, engine_outages)
    return Worker(
        node=node,
        database=database,
        dispatcher=Dispatcher(app),
        runtime=runtime,
        lease_s=settings.lease_s,
        log_limit_bytes=settings.log_limit_bytes,
        cancel_grace_s=settings.cancel_grace_s,
        defaults=task_defaults(settings),
        engine_wait_s=settings.engine_wait_s,
        engine_outages=engine_outages,
        disk_limits=disk_limits(settings),
        host_env=HostEnvironment.of(settings.host_env, os.environ, traced=exports_traces(os.environ)),
    )


def log_sandboxes_off(settings: Settings) -> None:
    """Log why the settings turn sandboxes off, if they do. The runtime logs other reasons."""
    if settings.runtime == "shell":
        log.info("sandboxes.off", reason="the shell runtime has no containers")
    elif not settings.sandbox:
        log.info("sandboxes.off", reason="the setting TORK_SANDBOX is off")
