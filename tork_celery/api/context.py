"""What the views work with."""

from dataclasses import dataclass, field

from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import Coordinator
from tork_celery.services.long_poll import WaitingRoom


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """`image_required` is off where the runtime is the shell. Without an `authenticator` anybody may do
    anything. Pages of web sites at `cors_origins` may ask, too."""

    coordinator: Coordinator
    body_limit_bytes: int
    waiting_room: WaitingRoom = field(default_factory=lambda: WaitingRoom(seats=4))
    image_required: bool = True
    version: str = "0"
    authenticator: Authenticator | None = None
    cors_origins: tuple[str, ...] = ()
