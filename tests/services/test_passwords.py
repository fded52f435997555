"""Passwords are checked slowly once, and fast from then on."""

import pytest
from werkzeug.security import generate_password_hash

from tork_celery.services import passwords as module
from tork_celery.services.passwords import Passwords

HASH = generate_password_hash("s3cret")


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def slow_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were checked by scrypt."""
    checked: list[str] = []
    check = module.check_password_hash

    def count(pwhash: str, password: str) -> bool:
        checked.append(password)
        return check(pwhash, password)

    monkeypatch.setattr(module, "check_password_hash", count)
    return checked


def test_a_right_password_is_checked_slowly_once(slow_checks: list[str]) -> None:
    passwords = Passwords()

    assert [passwords.matches(HASH, "s3cret") for _ in range(3)] == [True] * 3
    assert slow_checks == ["s3cret"]


def test_a_wrong_password_is_never_remembered(slow_checks: list[str]) -> None:
    passwords = Passwords()

    assert [passwords.matches(HASH, "wrong") for _ in range(2)] == [False] * 2
    assert slow_checks == ["wrong"] * 2


def test_what_was_right_is_forgotten_after_a_while(slow_checks: list[str]) -> None:
    clock = FakeClock()
    passwords = Passwords(clock=clock)
    passwords.matches(HASH, "s3cret")
    clock.now += 301

    assert passwords.matches(HASH, "s3cret")
    assert slow_checks == ["s3cret"] * 2


def test_a_changed_password_is_another_one() -> None:
    passwords = Passwords()
    passwords.matches(HASH, "s3cret")

    assert not passwords.matches(generate_password_hash("other"), "s3cret")


def test_for_nobody_a_password_is_wrong_as_slowly(slow_checks: list[str]) -> None:
    assert not Passwords().matches(None, "s3cret")
    assert slow_checks == ["s3cret"]


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_REMEMBERED", 2)
    monkeypatch.setattr(module, "check_password_hash", lambda _hash, _password: True)
    passwords = Passwords()

    for number in range(5):
        passwords.matches(HASH, str(number))

    assert len(passwords._right_until) == 2
