"""The one place that wires settings to the datastore, the broker and a runtime."""

import importlib.metadata
import os
import socket
import uuid
from collections.abc import Sequence

from celery import Celery

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.definition import Defaults, Limits
from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.node import Node
from tork_celery.runtime.protocol import Runtime
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.settings import Settings
from tork_celery.store import Database, nodes
from tork_celery.worker.worker import Worker

VERSION = importlib.metadata.version("tork_celery")

_CONNECTIONS_BESIDE_STEPS = 6  # heartbeat, log shipper and their like


def celery_app() -> Celery:
    """Return the Celery app, configured by `tork_celery.celeryconfig`.

    The dotted path matters: a plain `celeryconfig` in the working directory would be loaded instead.
    """
    return Celery(
        "tork_celery",
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        config_source="tork_celery.celeryconfig",
        set_as_current=False,
    )


def database(settings: Settings, *, slots: int = 4) -> Database:
    """The datastore, with connections for so many steps or requests at a time."""
    return Database.connect(
        settings.datastore_url,
        pool_size=slots + _CONNECTIONS_BESIDE_STEPS,
        full_sync=settings.datastore_full_sync,
    )


def context(settings: Settings, app: Celery, store: Database) -> ServiceContext:
    return ServiceContext(
        database=store,
        dispatcher=Dispatcher(app),
        lease_s=settings.lease_s,
        keep_jobs_s=settings.keep_jobs_s,
    )


def authenticator(settings: Settings, store: Database) -> Authenticator | None:
    """None where anybody may ask."""
    return Authenticator(store, schemes=settings.auth) if settings.auth else None


def worker(settings: Settings, app: Celery, store: Database, *, node: str, slots: int) -> Worker:
    """A worker with a runtime that answers. Raises EngineUnavailable, ConfigurationError."""
    with store.transaction() as tx:
        cluster = nodes.cluster_id(tx)
    chosen = runtime(settings, cluster=cluster, node=node, slots=slots)
    chosen.check()
    return Worker(
        database=store,
        dispatcher=Dispatcher(app),
        runtime=chosen,
        node=node,
        lease_s=settings.lease_s,
        log_limit_bytes=settings.log_limit_bytes,
        cancel_grace_s=settings.cancel_grace_s,
        defaults=defaults(settings),
    )


def defaults(settings: Settings) -> Defaults:
    """What holds for tasks that say nothing, and have nothing from their job. Raises ConfigurationError."""
    cpus, memory = settings.default_cpus or None, settings.default_memory or None
    if settings.runtime == "shell" and (cpus or memory):
        raise ConfigurationError(
            "TORK_DEFAULT_CPUS and TORK_DEFAULT_MEMORY: the shell runtime cannot limit its steps; unset them"
        )
    limits = Limits(cpus=cpus, memory=memory) if cpus or memory else None
    return Defaults(limits=limits, timeout=settings.default_timeout or None)


def runtime(settings: Settings, *, cluster: str, node: str, slots: int) -> Runtime:
    work_dir = settings.data_dir / "work"
    # Imported here: a coordinator has no runtime, and the engine's SDK is the larger part of its start.
    if settings.runtime == "shell":
        from tork_celery.runtime.shell import ShellRuntime  # noqa: PLC0415

        return ShellRuntime(
            work_dir=work_dir, node=node, environ=os.environ, allow_root=settings.shell_allow_root
        )
    from tork_celery.runtime.docker import DockerRuntime  # noqa: PLC0415

    return DockerRuntime(
        cluster=cluster,
        node=node,
        work_dir=work_dir,
        url=settings.docker_url or None,
        log_limit_bytes=settings.log_limit_bytes,
        pull_timeout_s=settings.pull_timeout_s,
        pool_size=slots,
        bind_sources=settings.bind_sources,
        pull_always=settings.pull == "always",
        image_ttl_s=settings.image_ttl_s,
    )


def node(name: str, queues: Sequence[str], *, port: int = 0) -> Node:
    """The node that this process is."""
    return Node(
        name=name,
        instance=uuid.uuid4().hex,
        hostname=socket.gethostname(),
        pid=os.getpid(),
        queues=tuple(queues),
        version=VERSION,
        port=port,
    )
