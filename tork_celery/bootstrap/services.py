"""What the processes that run services have in common."""

import importlib.metadata
import os
import socket
import uuid
from collections.abc import Sequence

from celery import Celery

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.node import Node
from tork_celery.services.context import ServiceContext
from tork_celery.settings import Settings
from tork_celery.store import Database

VERSION = importlib.metadata.version("tork_celery")


def build_service_context(settings: Settings, app: Celery, database: Database) -> ServiceContext:
    return ServiceContext(
        database=database,
        dispatcher=Dispatcher(app),
        lease_s=settings.lease_s,
        keep_jobs_s=settings.keep_jobs_s,
        keep_logs_s=settings.keep_logs_s,
        webhook_targets=settings.webhook_targets if settings.auth else None,
    )


def describe_node(name: str, *, queues: Sequence[str] = (), slots: int = 0, port: int = 0) -> Node:
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
