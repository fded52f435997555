"""The one place that builds processes: it wires settings, the datastore, the broker and a runtime.

What only some processes need is imported where it is built. The supervisor of standalone mode, for one, needs
no Celery: that is a third of its memory and of its start.
"""

import importlib.metadata
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from tork_celery.domain.definition import Defaults, Limits
from tork_celery.domain.errors import (
    BrokerUnavailable,
    ConfigurationError,
    DatastoreFull,
    DatastoreUnavailable,
    EngineUnavailable,
)
from tork_celery.domain.node import Node
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.outages import OutageLog, until_available
from tork_celery.runtime.protocol import Runtime
from tork_celery.settings import Settings
from tork_celery.store import Database, access, nodes, schema_version, secret_keys

if TYPE_CHECKING:
    from celery import Celery

    from tork_celery.api.front import Front
    from tork_celery.node_process import NodeProcess
    from tork_celery.presence import Presence
    from tork_celery.services.context import ServiceContext
    from tork_celery.worker.disk_guard import DiskLimits
    from tork_celery.worker.worker import Worker

log = structlog.get_logger(__name__)
T = TypeVar("T")

VERSION = importlib.metadata.version("tork_celery")

_CONNECTIONS_BESIDE_SLOTS = 6  # for the heartbeat, the log shipper and other threads


def build_celery_app() -> "Celery":
    """Return the Celery app, configured by `tork_celery.celeryconfig`.

    The dotted path matters: a plain `celeryconfig` in the working directory would be loaded instead.
    """
    from celery import Celery  # noqa: PLC0415

    return Celery(
        "tork_celery",
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        config_source="tork_celery.celeryconfig",
        set_as_current=False,
    )


def build_database(
    settings: Settings, *, slots: int = 4, detect_hangs: bool = False, log_outages: bool = False
) -> Database:
    """Return the datastore, with connections for `slots` steps or requests at a time."""
    return Database.connect(
        settings.datastore_url,
        pool_size=slots + _CONNECTIONS_BESIDE_SLOTS,
        full_sync=settings.datastore_full_sync,
        detect_hangs=detect_hangs,
        log_outages=log_outages,
        cipher=secret_keys.load_cipher(settings.datastore_url, settings.secret_key),
        reserve_disk=True,
    )


def check_datastore(database: Database) -> None:
    """Wait until the datastore answers, then check the schema and the key of the secrets.

    Raises ConfigurationError, also if the datastore refuses the settings.
    """

    def check() -> bool:
        schema_version.check(database)
        return secret_keys.check(database)

    encrypted = _when_datastore_answers(database, check)
    if not encrypted:
        log.warning("secrets.stored_in_clear", hint="set TORK_SECRET_KEY to encrypt them")


def migrate_datastore(settings: Settings, database: Database) -> None:
    """Wait until the datastore answers, then migrate its schema and check the key of the secrets.

    Raises ConfigurationError, also if the datastore refuses the settings.
    """
    from tork_celery.store.migration import migrate  # noqa: PLC0415  Alembic takes 0.1 s

    def prepare() -> None:
        migrate(database)
        secret_keys.check(database)

    _when_datastore_answers(database, partial(_freeing_full_disk, settings, prepare))


def _freeing_full_disk(settings: Settings, action: Callable[[], T]) -> T:
    """Run an action that writes to the datastore. If its disk is full, kill the step that fills it and raise.

    For a process that starts: a step that runs since earlier may take each byte that becomes free, and only a
    worker that has started protects the disk from it.
    """
    try:
        return action()
    except DatastoreFull:
        from tork_celery.worker.disk_guard import kill_largest  # noqa: PLC0415

        runtime = build_runtime(settings, cluster="none", node="none", slots=1)
        with closing(runtime), suppress(EngineUnavailable):
            kill_largest(runtime, _disk_limits(settings), settings.data_dir)
        raise


def _disk_limits(settings: Settings) -> "DiskLimits":
    from tork_celery.worker.disk_guard import DiskLimits  # noqa: PLC0415

    return DiskLimits(step_bytes=settings.step_disk_bytes, floor_bytes=settings.disk_floor_bytes)


def _when_datastore_answers(database: Database, action: Callable[[], T]) -> T:
    """Repeat `action` while the datastore is away. Raises ConfigurationError if it refuses the settings."""

    def attempt() -> T:
        try:
            return action()
        except DatastoreUnavailable as error:
            access.check(database, error)
            raise

    return until_available(attempt, database.outages)


def check_broker() -> None:
    """Raise ConfigurationError if the broker answers but refuses access."""
    from tork_celery.dispatch.dispatcher import Dispatcher  # noqa: PLC0415

    Dispatcher(build_celery_app()).check_access()


def build_node_process(
    settings: Settings,
    app: "Celery",
    *,
    name: str,
    queues: Sequence[str],
    slots: int,
    terminate: Callable[[], None],
) -> "NodeProcess":
    """Build a process that serves Celery queues, as the node `name`. Waits for the datastore and the engine.

    It is a coordinator if it serves the control queue, and a worker if it serves any other. `terminate` ends
    the process. Raises ConfigurationError.
    """
    from tork_celery import presence  # noqa: PLC0415
    from tork_celery.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from tork_celery.node_process import NodeProcess  # noqa: PLC0415

    database = build_database(settings, slots=slots, log_outages=True)
    check_datastore(database)
    Dispatcher(app).check_access()
    node = _node(name, queues=queues, slots=slots)
    worker = None
    if set(queues) != {CONTROL_QUEUE}:
        check_name = partial(presence.check_name, database, node, lease_s=settings.lease_s)
        until_available(check_name, database.outages)  # before the wait for the engine
        worker = build_worker(settings, app, database, node=name, slots=slots)
        # The disk may be full: free some space before anything is written to the datastore.
        until_available(worker.free_disk_space, database.outages, worker.engine_outages)
    claim_name = partial(presence.claim_name, database, node, lease_s=settings.lease_s)
    until_available(partial(_freeing_full_disk, settings, claim_name), database.outages)
    return NodeProcess(
        _service_context(settings, app, database),
        node,
        worker=worker,
        coordinates=CONTROL_QUEUE in queues,
        heartbeat_s=settings.heartbeat_s,
        terminate=terminate,
    )


def build_worker(settings: Settings, app: "Celery", database: Database, *, node: str, slots: int) -> "Worker":
    """Build a worker, and wait until its engine answers. Raises ConfigurationError."""
    from tork_celery.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from tork_celery.worker.host_environment import HostEnvironment  # noqa: PLC0415
    from tork_celery.worker.worker import Worker  # noqa: PLC0415

    cluster = until_available(partial(_cluster_id, database), database.outages)
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
        disk_limits=_disk_limits(settings),
        host_env=HostEnvironment.of(settings.host_env, os.environ),
    )


def log_sandboxes_off(settings: Settings) -> None:
    """Log why the settings turn sandboxes off, if they do. The runtime logs other reasons."""
    if settings.runtime == "shell":
        log.info("sandboxes.off", reason="the shell runtime has no containers")
    elif not settings.sandbox:
        log.info("sandboxes.off", reason="the setting TORK_SANDBOX is off")


def build_api(settings: Settings, *, port: int, processes: int, threads: int) -> "Front":
    """Build one of `processes` processes that serve the API on a port, each with `threads` threads."""
    from tork_celery.api import create_app  # noqa: PLC0415
    from tork_celery.api.context import ApiContext  # noqa: PLC0415
    from tork_celery.api.front import Front  # noqa: PLC0415
    from tork_celery.presence import Presence  # noqa: PLC0415
    from tork_celery.publisher import BackgroundPublisher  # noqa: PLC0415
    from tork_celery.services.authentication import Authenticator  # noqa: PLC0415
    from tork_celery.services.long_poll import ended_jobs  # noqa: PLC0415

    database = build_database(settings, slots=threads, detect_hangs=True, log_outages=True)
    name = f"api-{port}" if processes == 1 else f"api-{port}-{os.getpid()}"
    node = _node(f"{name}@{socket.gethostname()}", port=port)
    context = _service_context(settings, build_celery_app(), database)
    api_presence = Presence(
        database,
        node,
        interval_s=settings.heartbeat_s,
        on_beat=lambda _now: context.dispatcher.ping_if_away(),
    )
    services = replace(
        context,
        write_error=lambda: api_presence.write_error,
        background_publisher=BackgroundPublisher(context.dispatcher),
    )
    app = create_app(
        ApiContext(
            services=services,
            version=VERSION,
            wait_max_s=settings.wait_max_s,
            body_limit_bytes=settings.body_limit_bytes,
            image_required=settings.runtime != "shell",
            authenticator=Authenticator(database, schemes=settings.auth) if settings.auth else None,
            cors_origins=settings.cors_origins,
            hosts=settings.hosts,
            rate_limit=settings.rate_limit,
        )
    )
    return Front(
        app,
        threads=threads,
        body_limit_bytes=settings.body_limit_bytes,
        ended_jobs=partial(ended_jobs, services),
        on_startup=partial(_start_api, services, api_presence),
        on_shutdown=partial(_stop_api, services, api_presence),
    )


def _start_api(services: "ServiceContext", api_presence: "Presence") -> None:
    api_presence.start()
    if services.background_publisher is not None:
        services.background_publisher.start()
    with suppress(BrokerUnavailable):  # which is logged; the API accepts jobs meanwhile
        services.dispatcher.ping()


def _stop_api(services: "ServiceContext", api_presence: "Presence") -> None:
    if services.background_publisher is not None:
        services.background_publisher.stop()
    api_presence.stop()


def build_runtime(settings: Settings, *, cluster: str, node: str, slots: int) -> Runtime:
    work_dir = settings.data_dir / "work"
    # Imported here: coordinators have no runtime, and importing the engine's SDK is most of their start.
    if settings.runtime == "shell":
        from tork_celery.runtime.shell import ShellRuntime  # noqa: PLC0415

        return ShellRuntime(
            work_dir=work_dir,
            node=node,
            environ=os.environ,
            shell=settings.shell,
            allow_root=settings.shell_allow_root,
        )
    from tork_celery.runtime.docker import DockerRuntime  # noqa: PLC0415
    from tork_celery.runtime.docker.policy import ContainerPolicy  # noqa: PLC0415

    return DockerRuntime(
        cluster=cluster,
        node=node,
        work_dir=work_dir,
        url=settings.docker_url or None,
        log_limit_bytes=settings.log_limit_bytes,
        pull_timeout_s=settings.pull_timeout_s,
        pool_size=slots,
        policy=ContainerPolicy(
            bind_sources=settings.bind_sources,
            networks=settings.networks,
            pids_limit=settings.pids_limit,
            capabilities=settings.capabilities,
            no_new_privileges=settings.no_new_privileges,
            max_cpus=settings.max_cpus or None,
            max_memory=settings.max_memory or None,
        ),
        pull_always=settings.pull == "always",
        image_ttl_s=settings.image_ttl_s,
        sandbox=settings.sandbox,
    )


def task_defaults(settings: Settings) -> Defaults:
    """Return the limits and the timeout of tasks that set none. Raises ConfigurationError."""
    cpus, memory = settings.default_cpus or None, settings.default_memory or None
    if settings.runtime == "shell" and (cpus or memory or settings.max_cpus or settings.max_memory):
        raise ConfigurationError(
            "TORK_DEFAULT_CPUS, TORK_DEFAULT_MEMORY, TORK_MAX_CPUS and TORK_MAX_MEMORY: the shell runtime "
            "cannot limit its steps; unset them"
        )
    limits = Limits(cpus=cpus, memory=memory) if cpus or memory else None
    return Defaults(limits=limits, timeout=settings.default_timeout or None)


def _cluster_id(database: Database) -> str:
    with database.transaction() as tx:
        return nodes.cluster_id(tx)


def _service_context(settings: Settings, app: "Celery", database: Database) -> "ServiceContext":
    from tork_celery.dispatch.dispatcher import Dispatcher  # noqa: PLC0415
    from tork_celery.services.context import ServiceContext  # noqa: PLC0415

    return ServiceContext(
        database=database,
        dispatcher=Dispatcher(app),
        lease_s=settings.lease_s,
        keep_jobs_s=settings.keep_jobs_s,
        webhook_targets=settings.webhook_targets if settings.auth else None,
    )


def _node(name: str, *, queues: Sequence[str] = (), slots: int = 0, port: int = 0) -> Node:
    """Return the node that this process is."""
    return Node(
        name=name,
        instance=uuid.uuid4().hex,
        hostname=socket.gethostname(),
        pid=os.getpid(),
        queues=tuple(queues),
        slots=slots,
        version=VERSION,
        port=port,
    )
