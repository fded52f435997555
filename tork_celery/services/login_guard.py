"""Protection against password guessing: delays after failures, and few password checks at a time.

Failures are counted in memory, for each API process on its own.
"""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tork_celery.domain.errors import TooManyRequests
from tork_celery.domain.user import LONGEST_NAME

MAX_CHECKS = 2
"""Password checks of a process at a time. A check takes 50 ms of a core, and 32 MiB."""
MAX_WAITING = 4
"""Requests that may wait for a check. Beyond them: 429. They hold threads of the API, which has eight."""

_WAIT_S = 1.0
_BUSY_RETRY_S = 1.0
_FREE_FAILURES_OF_PAIR = 3  # a user who mistypes
_FREE_FAILURES = 20  # of a name from anywhere, or of an address with any name
_LONGEST_DELAY_S = 60.0
_MOST_DOUBLINGS = 10
_FORGOTTEN_AFTER_S = 900.0
_MAX_ENTRIES = 10_000  # of each kind; the oldest one is forgotten
_IPV6_SITE_BITS = 64  # a host has all addresses of its network

T = TypeVar("T")
_Key = tuple[str, ...]


class LoginGuard:
    """Decides which passwords are checked now. Thread-safe.

    From the third failure of a user name from one address on, the next check has to wait: one second, and
    twice as long after each further failure, up to a minute. The same holds for a name from all addresses and
    for an address with all names, from the 20th failure on. Where a user has logged in before, only the first
    rule applies: guesses from elsewhere do not lock the user out.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(MAX_CHECKS)
        self._admitted = threading.Semaphore(MAX_CHECKS + MAX_WAITING)
        self._failures = {free: _Failures(free) for free in (_FREE_FAILURES_OF_PAIR, _FREE_FAILURES)}
        self._known: OrderedDict[_Key, None] = OrderedDict()

    def check(self, username: str, address: str, is_correct: Callable[[], bool]) -> bool:
        """Return whether the password is correct, as `is_correct` says. Raises TooManyRequests."""
        pair = (username[:LONGEST_NAME], _site(address))
        self._check_delay(pair)
        with self._slot():
            self._check_delay(pair)  # guesses that ran meanwhile count
            correct = is_correct()
            self._record(pair, correct=correct)
            return correct

    def _check_delay(self, pair: _Key) -> None:
        with self._lock:
            now = self._clock()
            delay_s = max(failures.delay_s(key, now) for failures, key in self._counted(pair))
        if delay_s > 0:
            raise TooManyRequests(
                "too many wrong passwords for this user name or from this address; try again later",
                retry_after_s=delay_s,
            )

    def _record(self, pair: _Key, *, correct: bool) -> None:
        with self._lock:
            if correct:
                self._failures[_FREE_FAILURES_OF_PAIR].forget(pair)
                _remember(self._known, pair, None)
                return
            for failures, key in self._counted(pair):
                failures.add(key, self._clock())

    def _counted(self, pair: _Key) -> Sequence[tuple["_Failures", _Key]]:
        """Return the counters of a pair of name and address, each with its key."""
        name, address = pair
        of_pair = (self._failures[_FREE_FAILURES_OF_PAIR], pair)
        if pair in self._known:
            return (of_pair,)
        others = self._failures[_FREE_FAILURES]
        return (of_pair, (others, ("name", name)), (others, ("address", address)))

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Hold one of the few slots for checks; wait briefly for it. Raises TooManyRequests."""
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            if not self._slots.acquire(timeout=_WAIT_S):
                raise _busy()
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._admitted.release()


@dataclass(slots=True)
class _Failure:
    """Failures of a key: their number, and when the next check is allowed."""

    number: int
    at: float
    allowed_at: float


class _Failures:
    """Counters of failures by key, at most `_MAX_ENTRIES`."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._entries: OrderedDict[_Key, _Failure] = OrderedDict()

    def delay_s(self, key: _Key, now: float) -> float:
        """Return for how long a check is not allowed, 0 if it is."""
        failure = self._entries.get(key)
        return 0.0 if failure is None else max(0.0, failure.allowed_at - now)

    def add(self, key: _Key, now: float) -> None:
        before = self._entries.get(key)
        forgotten = before is None or now - before.at > _FORGOTTEN_AFTER_S
        number = 1 if forgotten or before is None else before.number + 1
        doublings = min(number - self._free, _MOST_DOUBLINGS)
        delay_s = min(2.0**doublings, _LONGEST_DELAY_S) if doublings >= 0 else 0.0
        _remember(self._entries, key, _Failure(number, now, now + delay_s))

    def forget(self, key: _Key) -> None:
        self._entries.pop(key, None)


def _remember(entries: OrderedDict[_Key, T], key: _Key, value: T) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > _MAX_ENTRIES:
        entries.popitem(last=False)


def _site(address: str) -> str:
    """Return an address; of an IPv6 address, the network of its host."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_SITE_BITS), strict=False))


def _busy() -> TooManyRequests:
    return TooManyRequests("too many passwords are being checked; try again", retry_after_s=_BUSY_RETRY_S)
