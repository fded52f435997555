"""Password guessing: few checks at a time, and growing delays after failures."""

import threading
from collections.abc import Callable

import pytest

from tests.eventually import eventually
from tork_celery.domain.errors import TooManyRequests
from tork_celery.services import login_guard as module
from tork_celery.services.login_guard import LoginGuard

HERE, THERE = "10.0.0.1", "10.0.0.2"


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def guard(clock: FakeClock) -> LoginGuard:
    return LoginGuard(clock=clock)


def fail(guard: LoginGuard, username: str = "ada", address: str = HERE, *, times: int = 1) -> None:
    for _ in range(times):
        assert not guard.check(username, address, lambda: False)


def delay_s(guard: LoginGuard, username: str = "ada", address: str = HERE) -> float:
    """Return for how long a check is rejected; 0 if it is not, and then the password was right."""
    try:
        assert guard.check(username, address, lambda: True)
    except TooManyRequests as error:
        return error.retry_after_s
    return 0.0


def test_delays_grow_with_each_failure(guard: LoginGuard, clock: FakeClock) -> None:
    fail(guard, times=3)
    delays = []
    for _ in range(9):
        with pytest.raises(TooManyRequests) as rejected:
            guard.check("ada", HERE, lambda: False)
        delays.append(rejected.value.retry_after_s)
        clock.now += rejected.value.retry_after_s
        fail(guard)

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_rejected_password_is_not_checked(guard: LoginGuard) -> None:
    fail(guard, times=3)

    with pytest.raises(TooManyRequests, match="too many wrong passwords"):
        guard.check("ada", HERE, lambda: pytest.fail("was checked"))


def test_correct_password_resets_the_delay(guard: LoginGuard) -> None:
    fail(guard, times=2)
    assert delay_s(guard) == 0

    fail(guard, times=2)
    assert delay_s(guard) == 0


def test_failures_are_forgotten(guard: LoginGuard, clock: FakeClock) -> None:
    fail(guard, times=3)
    clock.now += 901
    fail(guard, times=2)

    assert delay_s(guard) == 0


def test_other_users_and_other_addresses_are_unaffected(guard: LoginGuard) -> None:
    fail(guard, times=3)

    assert delay_s(guard, "bob", HERE) == 0
    assert delay_s(guard, "ada", THERE) == 0


def test_guesses_with_many_names_delay_their_address(guard: LoginGuard) -> None:
    for number in range(20):
        fail(guard, f"user{number}")

    assert delay_s(guard, "bob", HERE) == 1
    assert delay_s(guard, "bob", THERE) == 0


def test_guesses_from_many_addresses_delay_their_name(guard: LoginGuard) -> None:
    for number in range(20):
        fail(guard, "ada", f"10.0.1.{number}")

    assert delay_s(guard, "ada", HERE) == 1
    assert delay_s(guard, "bob", HERE) == 0


def test_guesses_from_elsewhere_do_not_lock_a_known_user_out(guard: LoginGuard) -> None:
    assert delay_s(guard, "ada", HERE) == 0
    for number in range(20):
        fail(guard, "ada", f"10.0.1.{number}")
        fail(guard, f"user{number}", HERE)

    assert delay_s(guard, "ada", HERE) == 0
    assert delay_s(guard, "ada", THERE) == 1


def test_addresses_of_one_ipv6_network_count_as_one(guard: LoginGuard) -> None:
    for number in range(3):
        fail(guard, "ada", f"2001:db8::{number}")

    assert delay_s(guard, "ada", "2001:db8::ffff:1") == 1
    assert delay_s(guard, "ada", "2001:db8:0:1::1") == 0


def test_memory_is_bounded(guard: LoginGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_ENTRIES", 5)
    for number in range(15):
        fail(guard, f"user{number}")
        delay_s(guard, f"known{number}")

    assert [len(failures._entries) for failures in guard._failures.values()] == [5, 5]
    assert len(guard._known) == 5


class Blocked:
    """Password checks that run until they are released; `running` and `most` count them."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.running = self.most = 0
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.release.wait(10)
        with self._lock:
            self.running -= 1
        return True


@pytest.fixture
def start(guard: LoginGuard) -> Callable[[Blocked], threading.Thread]:
    def start_(check: Blocked) -> threading.Thread:
        thread = threading.Thread(target=guard.check, args=("ada", HERE, check))
        thread.start()
        return thread

    return start_


def test_two_checks_run_at_a_time_and_few_requests_wait(
    guard: LoginGuard, start: Callable[[Blocked], threading.Thread]
) -> None:
    check = Blocked()
    threads = [start(check) for _ in range(module.MAX_CHECKS + module.MAX_WAITING)]
    eventually(lambda: check.running == module.MAX_CHECKS)
    eventually(lambda: guard._admitted._value == 0)

    with pytest.raises(TooManyRequests, match="too many passwords are being checked") as rejected:
        guard.check("bob", THERE, lambda: True)

    check.release.set()
    for thread in threads:
        thread.join()
    assert rejected.value.retry_after_s == 1
    assert check.most == module.MAX_CHECKS == 2


def test_wait_for_a_check_is_short(
    guard: LoginGuard,
    start: Callable[[Blocked], threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_WAIT_S", 0.01)
    check = Blocked()
    threads = [start(check) for _ in range(module.MAX_CHECKS)]
    eventually(lambda: check.running == module.MAX_CHECKS)

    with pytest.raises(TooManyRequests):
        guard.check("bob", THERE, lambda: True)

    check.release.set()
    for thread in threads:
        thread.join()
    assert guard.check("bob", THERE, lambda: True)


def test_guess_that_waited_counts_the_failures_meanwhile(guard: LoginGuard) -> None:
    def fail_thrice() -> bool:
        for _ in range(3):
            guard._record(("ada", HERE), correct=False)
        return False

    guard.check("ada", HERE, fail_thrice)

    assert delay_s(guard) == 2
