"""What every service works with."""

import secrets
import uuid
from dataclasses import dataclass

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.plan import RandomSource
from tork_celery.store import Database


def new_id() -> str:
    """An id for a job or a task: 32 hexadecimal digits."""
    return uuid.uuid4().hex


SYSTEM_RANDOM = RandomSource(new_id=new_id, randbelow=secrets.randbelow)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContext:
    """The datastore and the way to the broker, and what an installation has set: `lease_s` is for how long a
    node may be silent; ended jobs are kept for `keep_jobs_s`, for ever with None."""

    database: Database
    dispatcher: Dispatcher
    lease_s: float
    keep_jobs_s: float | None = None
    random: RandomSource = SYSTEM_RANDOM
