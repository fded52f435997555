"""What the views work with."""

from dataclasses import dataclass, field

from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.services.long_poll import JobWaiter


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """`image_required` is off where the runtime is the shell. Without an `authenticator` anybody may do
    anything. Pages of web sites at `cors_origins` may ask, too."""

    services: ServiceContext
    body_limit_bytes: int
    job_waiter: JobWaiter = field(default_factory=lambda: JobWaiter(slots=4))
    image_required: bool = True
    version: str = "0"
    authenticator: Authenticator | None = None
    cors_origins: tuple[str, ...] = ()
