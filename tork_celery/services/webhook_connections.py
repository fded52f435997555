"""Connections of webhook calls: one deadline for a whole call, and only addresses that are allowed."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self, cast

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from tork_celery.domain.webhook_targets import WebhookTargets

AddressInfo = tuple[Any, ...]
Lookup = Callable[..., Sequence[AddressInfo]]
"""`socket.getaddrinfo`, or a fake of it."""


class TargetRefused(Exception):
    """A webhook may not call any of the addresses of its host."""


class Deadline:
    """Shuts down the connections of a call when its time is over. A thread that waits for one gets an error.

    Timeouts of sockets are no deadline: they begin anew with each byte that arrives. `cut_off` says whether a
    connection was shut down; then a response may be incomplete, although it looks complete.
    """

    def __init__(self, timeout_s: float) -> None:
        self._at = time.monotonic() + timeout_s
        self._watched: list[tuple[threading.Timer, socket.socket]] = []
        self.cut_off = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for timer, duplicate in self._watched:
            timer.cancel()
            timer.join()
            duplicate.close()

    @property
    def remaining_s(self) -> float:
        return max(0.0, self._at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.cut_off or not self.remaining_s

    def watch(self, connection: socket.socket) -> None:
        """Shut down a connection at the deadline."""
        duplicate = connection.dup()  # TLS takes the file descriptor away from the original
        timer = threading.Timer(self.remaining_s, self._shut_down, [duplicate])
        timer.daemon = True
        timer.start()
        self._watched.append((timer, duplicate))

    def _shut_down(self, connection: socket.socket) -> None:
        self.cut_off = True
        with suppress(OSError):  # the receiver may have closed it
            connection.shutdown(socket.SHUT_RDWR)


class Connector:
    """Opens the connections of one call: resolves the host once, and connects to an address that is allowed.

    Because the addresses that are judged are those that are connected to, a second answer of the DNS server
    has no effect.
    """

    def __init__(
        self, deadline: Deadline, targets: WebhookTargets | None, lookup: Lookup = socket.getaddrinfo
    ) -> None:
        self._deadline = deadline
        self._targets = targets
        self._lookup = lookup

    def connect(self, host: str, port: int) -> socket.socket:
        """Raises OSError, LocationParseError, TargetRefused."""
        infos = self._allowed(host, self._resolve(host, port))
        error: OSError = OSError("the name of the host has no address")
        for index, (family, type_, protocol, _, address) in enumerate(infos):
            timeout_s = self._deadline.remaining_s / (len(infos) - index)
            try:
                connection = _connect(socket.socket(family, type_, protocol), address, timeout_s=timeout_s)
            except OSError as failure:
                error = failure
            else:
                self._deadline.watch(connection)
                return connection
        raise error

    def _resolve(self, host: str, port: int) -> Sequence[AddressInfo]:
        """Look a name up in a thread of its own, because a lookup cannot be interrupted."""
        try:
            host.encode("idna")
        except UnicodeError:
            raise LocationParseError(f"{host!r}, label empty or too long") from None
        found = Future[Sequence[AddressInfo]]()
        threading.Thread(target=self._look_up, args=(found, host, port), daemon=True).start()
        return found.result(timeout=self._deadline.remaining_s)

    def _look_up(self, found: Future[Sequence[AddressInfo]], host: str, port: int) -> None:
        try:
            found.set_result(self._lookup(host, port, allowed_gai_family(), socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            found.set_exception(error)

    def _allowed(self, host: str, infos: Sequence[AddressInfo]) -> Sequence[AddressInfo]:
        if self._targets is None:
            return infos
        if allowed := [info for info in infos if self._targets.allow(host, info[4][0])]:
            return allowed
        raise TargetRefused(
            f"{infos[0][4][0]} is not a public address; allow the host or its network with "
            "TORK_WEBHOOK_TARGETS"
        )


def _connect(connection: socket.socket, address: Any, *, timeout_s: float) -> socket.socket:
    try:
        connection.settimeout(timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


class _HTTPConnection(HTTPConnection):
    def __init__(self, *args: Any, connector: Connector, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connector = connector

    def _new_conn(self) -> socket.socket:
        try:
            return self._connector.connect(self._dns_host.strip("[]"), self.port)
        except OSError as error:
            raise NewConnectionError(self, f"cannot connect: {error}") from error


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    """`_HTTPConnection` over TLS."""


class Adapter(HTTPAdapter):
    """Lets a connector open the connections."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = cast(HTTPConnectionPool, super().get_connection_with_tls_context(*args, **options))
        pool.ConnectionCls = _HTTPSConnection if isinstance(pool, HTTPSConnectionPool) else _HTTPConnection
        pool.conn_kw["connector"] = self._connector
        return pool
