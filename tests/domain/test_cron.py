"""Cron expressions and their next times."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain import cron

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()  # a Tuesday


def after_noon(text: str, *, seconds: float = 0.0) -> str | None:
    next_at = cron.next_time(text, after=NOON + seconds)
    return None if next_at is None else datetime.fromtimestamp(next_at, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-11-24 12:01:00"),
        ("*/15 * * * *", "2026-11-24 12:15:00"),
        ("0 12 * * *", "2026-11-25 12:00:00"),
        ("30 4 * * 1-5", "2026-11-25 04:30:00"),
        ("30 4 * * sun", "2026-11-29 04:30:00"),
        ("0 0 1 jan *", "2027-01-01 00:00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 0 L * *", "2026-11-30 00:00:00"),
        ("  5   *  * *  * ", "2026-11-24 12:05:00"),
        ("0/5 * * * *", "2026-11-24 12:05:00"),
        ("0 0 ? * *", "2026-11-25 00:00:00"),
        ("0 0 ? * fri", "2026-11-27 00:00:00"),
        ("@hourly", "2026-11-24 13:00:00"),
        ("@daily", "2026-11-25 00:00:00"),
        ("@midnight", "2026-11-25 00:00:00"),
        ("@weekly", "2026-11-29 00:00:00"),
        ("@monthly", "2026-12-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
        ("@annually", "2027-01-01 00:00:00"),
    ],
)
def test_next_time(text: str, expected: str) -> None:
    cron.check(text)

    assert after_noon(text) == expected


def test_next_time_is_later_than_the_given_time() -> None:
    assert after_noon("0 13 * * *", seconds=3599.5) == "2026-11-24 13:00:00"
    assert after_noon("0 13 * * *", seconds=3600) == "2026-11-25 13:00:00"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "has 0 fields; a cron expression has five"),
        ("* * * *", "has 4 fields"),
        ("0 * * * * *", "has 6 fields"),
        ("60 * * * *", "is not a cron expression: bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 0 * *", "bad day-of-month"),
        ("* * * 13 *", "bad month"),
        ("* * * * 8", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("5-1 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("* * * * 5#2/2", "bad day-of-week"),
        ("0 0 LW * */7", "never fires"),
        ("@often", "'@often' is unknown; the short names are @yearly"),
        ("@reboot", "is unknown"),
        ("every day at noon, say", "is not a cron expression"),
        ("9" * 200 + " * * * *", "bad minute"),
        ("* * * * " + "1," * 300, "longer than 256 characters"),
        ("\u0663 * * * *", "bad minute"),
    ],
)
def test_invalid_cron_expression_is_rejected_with_the_reason(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        cron.check(text)


FIELD = st.text("0123456789*,-/#LWSUNJA", min_size=1, max_size=6) | st.sampled_from(["*", "*/2", "1-5"])


@given(st.lists(FIELD, min_size=5, max_size=5).map(" ".join) | st.text())
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        cron.check(text)
    except ValueError:
        return
    assert cron.next_time(text, after=NOON) is not None
