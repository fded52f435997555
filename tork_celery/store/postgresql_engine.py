"""Connections to PostgreSQL."""

import select
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

if TYPE_CHECKING:
    import psycopg

_CONNECT_TIMEOUT_S = 3
_PROBE_TIMEOUT_S = 2
_WAS_USED = "tork_was_used"
_KEEPALIVES = {  # with libpq's defaults, a dead host is detected after two hours
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}


def create(url: URL, *, pool_size: int) -> Engine:
    """Return an engine that replaces the connections that the server has closed."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_CONNECT_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, **_KEEPALIVES},
    )
    _replace_closed_connections(engine)
    return engine


def probe(url: URL) -> None:
    """Connect to the server. Raises psycopg's errors."""
    import psycopg  # noqa: PLC0415  not needed on SQLite

    psycopg.connect(_address(url), connect_timeout=_PROBE_TIMEOUT_S).close()


def connect(url: URL) -> "psycopg.Connection":
    """Return a connection outside the pool, in autocommit mode. Raises psycopg's errors."""
    import psycopg  # noqa: PLC0415  not needed on SQLite

    options: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S, **_KEEPALIVES}
    return psycopg.connect(_address(url), autocommit=True, **options)


def _address(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _replace_closed_connections(engine: Engine) -> None:
    """Make the pool replace its connections when the server has closed one that is to be used again.

    The socket of such a connection is readable, so no round trip is needed to know.
    """

    @event.listens_for(engine, "checkin")
    def note_use(_connection: Any, record: Any) -> None:
        record.info[_WAS_USED] = True

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: Any, _proxy: Any) -> None:
        if _WAS_USED in record.info and (connection.closed or _is_readable(connection.fileno())):
            raise InvalidatePoolError


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
