"""Password checks: a correct password is hashed once and then cached."""

import pytest
from werkzeug.security import check_password_hash

from tork_celery.services import passwords as module
from tork_celery.services.passwords import Passwords, hash_password

HASH = hash_password("s3cret")


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were checked with scrypt."""
    hashed: list[str] = []

    def record(pwhash: str, password: str) -> bool:
        hashed.append(password)
        return check_password_hash(pwhash, password)

    monkeypatch.setattr(module, "check_password_hash", record)
    return hashed


def test_correct_password_is_hashed_once(hashed: list[str]) -> None:
    passwords = Passwords()

    assert [passwords.matches(HASH, "s3cret") for _ in range(3)] == [True] * 3
    assert hashed == ["s3cret"]


def test_wrong_password_is_not_cached(hashed: list[str]) -> None:
    passwords = Passwords()

    assert [passwords.matches(HASH, "wrong") for _ in range(2)] == [False] * 2
    assert hashed == ["wrong"] * 2


def test_cache_entry_expires(hashed: list[str]) -> None:
    clock = FakeClock()
    passwords = Passwords(clock=clock)
    passwords.matches(HASH, "s3cret")
    clock.now += 301

    assert passwords.matches(HASH, "s3cret")
    assert hashed == ["s3cret"] * 2


def test_cached_password_does_not_match_changed_hash() -> None:
    passwords = Passwords()
    passwords.matches(HASH, "s3cret")

    assert not passwords.matches(hash_password("other"), "s3cret")


def test_password_of_unknown_user_is_hashed_too(hashed: list[str]) -> None:
    assert not Passwords().matches(None, "s3cret")
    assert hashed == ["s3cret"]


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_CACHED", 2)
    monkeypatch.setattr(module, "check_password_hash", lambda _hash, _password: True)
    passwords = Passwords()

    for number in range(5):
        passwords.matches(HASH, str(number))

    assert len(passwords._cached_until) == 2
