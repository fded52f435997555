"""Dependencies and settings of the services."""

import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.plan import RandomSource
from tork_celery.domain.webhook_targets import WebhookTargets
from tork_celery.publisher import BackgroundPublisher, Publisher
from tork_celery.store import Database

if TYPE_CHECKING:
    from tork_celery.services.job_traces import JobTraces  # its imports are an extra


def new_id() -> str:
    """Return a new id for a job or a task: 32 hexadecimal digits."""
    return uuid.uuid4().hex


SYSTEM_RANDOM = RandomSource(new_id=new_id, randbelow=secrets.randbelow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """What services work with.

    A node without a heartbeat for `lease_s` is taken for lost. Ended jobs are kept for `keep_jobs_s`, and
    logs for `keep_logs_s`; None keeps them forever. `write_error` returns why this process could not write to
    the datastore lately, if so. Webhooks may call public addresses and `webhook_targets`; None allows any
    address. With `background_publisher`, no service waits for the broker when it publishes messages. `traces`
    exports the traces of the jobs that end here. `retry_stored` is set when this process has stored a retry.
    """

    database: Database
    dispatcher: Dispatcher
    lease_s: float
    keep_jobs_s: float | None = None
    keep_logs_s: float | None = None
    webhook_targets: WebhookTargets | None = None
    background_publisher: BackgroundPublisher | None = None
    traces: "JobTraces | None" = None
    retry_stored: threading.Event = field(default_factory=threading.Event)
    random: RandomSource = SYSTEM_RANDOM
    write_error: Callable[[], str | None] = lambda: None

    def publisher(self) -> Publisher:
        """Return the publisher for the messages of one plan."""
        return self.background_publisher or Publisher(self.dispatcher)
