"""Dependencies and settings of the services."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.plan import RandomSource
from tork_celery.domain.webhook_targets import WebhookTargets
from tork_celery.store import Database


def new_id() -> str:
    """Return a new id for a job or a task: 32 hexadecimal digits."""
    return uuid.uuid4().hex


SYSTEM_RANDOM = RandomSource(new_id=new_id, randbelow=secrets.randbelow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """What services work with.

    A node without a heartbeat for `lease_s` is taken for lost. Ended jobs are kept for `keep_jobs_s`; None
    keeps them forever. `write_error` returns why this process could not write to the datastore lately, if so.
    Webhooks may call public addresses and `webhook_targets`; None allows any address.
    """

    database: Database
    dispatcher: Dispatcher
    lease_s: float
    keep_jobs_s: float | None = None
    webhook_targets: WebhookTargets | None = None
    random: RandomSource = SYSTEM_RANDOM
    write_error: Callable[[], str | None] = lambda: None
