"""The dependencies of the views."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.services.long_poll import WaitSlots
from tork_celery.services.streams.seats import StreamSeats
from tork_celery.settings_report import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """Dependencies and options of the API.

    `image_required` is False for the shell runtime. Without an `authenticator` every request is allowed.
    `cors_origins` are the web sites whose pages may call the API. `hosts` are further names of the API.
    A `wait` that is longer than `wait_max_s` counts as `wait_max_s`. `rate_limit` is the limit of requests
    per second for each user or address. `settings` are those of the process, for admins.
    """

    services: ServiceContext
    body_limit_bytes: int
    wait_slots: WaitSlots = field(default_factory=WaitSlots)
    stream_seats: StreamSeats = field(default_factory=StreamSeats)
    wait_max_s: float = 3600.0
    image_required: bool = True
    version: str = "0"
    authenticator: Authenticator | None = None
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    rate_limit: float | None = None
    settings: Sequence[Setting] = ()
