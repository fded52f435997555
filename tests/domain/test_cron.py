"""Cron expressions and their next times."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

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
        ("@every 90s", "2026-11-24 12:01:30"),
        ("@every  1h30m", "2026-11-24 13:30:00"),
        ("@every 1.9s", "2026-11-24 12:00:01"),
        ("@every 500ms", "2026-11-24 12:00:01"),
        ("CRON_TZ=UTC 0 13 * * *", "2026-11-24 13:00:00"),
        ("CRON_TZ=Europe/Berlin 0 14 * * *", "2026-11-24 13:00:00"),
        ("TZ=Asia/Kolkata  30 18 * * 2", "2026-11-24 13:00:00"),
        ("CRON_TZ=America/New_York @daily", "2026-11-25 05:00:00"),
        ("CRON_TZ=Asia/Tokyo @every 1h", "2026-11-24 13:00:00"),
        (" CRON_TZ=Etc/GMT+2 0 11 * * *", "2026-11-24 13:00:00"),
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
        ("@every", "'@every' is unknown"),
        ("@every soon", "'soon'"),
        ("@every 0s", "must be longer than 0"),
        ("@every -1s", "'-1s'"),
        ("@every 1m 30s", "is unknown"),
        ("@EVERY 1m", "is unknown"),
        ("CRON_TZ=Europe/Berlin", "has 0 fields"),
        ("CRON_TZ=Europe/Berlin * * * *", "has 4 fields"),
        (
            "CRON_TZ= 0 0 * * *",
            "'' is not a time zone; write a name of the tz database, such as `Europe/Berlin`",
        ),
        ("CRON_TZ=Europe 0 0 * * *", "'Europe' is not a time zone"),
        ("CRON_TZ=Europe/Atlantis 0 0 * * *", "'Europe/Atlantis' is not a time zone"),
        ("CRON_TZ=Local 0 0 * * *", "'Local' is not a time zone"),
        ("CRON_TZ=localtime 0 0 * * *", "'localtime' is not a time zone"),
        ("CRON_TZ=../UTC 0 0 * * *", "'../UTC' is not a time zone"),
        ("CRON_TZ=/etc/localtime 0 0 * * *", "is not a time zone"),
        ("CRON_TZ=tzdata.zi 0 0 * * *", "is not a time zone"),
        ("CRON_TZ=\u00fc 0 0 * * *", "is not a time zone"),
        ("CRON_TZ=UTC CRON_TZ=UTC 0 0 * * *", "has 6 fields"),
        ("0 0 * * * CRON_TZ=UTC", "has 6 fields"),
    ],
)
def test_invalid_cron_expression_is_rejected_with_the_reason(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        cron.check(text)


def firings(text: str, *, start: str, number: int) -> list[str]:
    """Return the next firings after a local time, as times of the expression's time zone."""
    zone = ZoneInfo(text.split(maxsplit=1)[0].removeprefix("CRON_TZ="))
    after = datetime.fromisoformat(start).replace(tzinfo=zone).timestamp()
    times = []
    for _ in range(number):
        next_at = cron.next_time(text, after=after)
        assert next_at is not None
        times.append(datetime.fromtimestamp(next_at, zone).strftime("%d %H:%M%z"))
        after = next_at
    return times


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("30 2 * * *", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        ("0,30 2 * * *", ["28 02:00+0100", "28 02:30+0100", "29 03:00+0200", "30 02:00+0200"]),
        ("0 2,3 * * *", ["28 02:00+0100", "28 03:00+0100", "29 03:00+0200", "30 02:00+0200"]),
        ("0 1-4 29 * *", ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        ("30 2 29 3 *", ["29 03:00+0200", "29 02:30+0200"]),
        ("30 1,3 * * *", ["28 01:30+0100", "28 03:30+0100", "29 01:30+0100", "29 03:30+0200"]),
        ("30 * 29 * *", ["29 00:30+0100", "29 01:30+0100", "29 03:30+0200"]),
        ("*/30 2 * * *", ["28 02:00+0100", "28 02:30+0100", "30 02:00+0200", "30 02:30+0200"]),
    ],
)
def test_fixed_time_in_a_skipped_hour_fires_once_after_it(fields: str, expected: list[str]) -> None:
    text = f"CRON_TZ=Europe/Berlin {fields}"

    assert firings(text, start="2026-03-28T00:00", number=len(expected)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("30 2 * * *", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        ("0-59 2 25 * *", ["25 02:00+0200", "25 02:01+0200"]),
        ("59 2 25 * *", ["25 02:59+0200", "25 02:59+0100"]),
        (
            "30 * 25 * *",
            ["25 00:30+0200", "25 01:30+0200", "25 02:30+0200", "25 02:30+0100", "25 03:30+0100"],
        ),
        ("*/30 2 25 * *", ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100"]),
    ],
)
def test_fixed_time_in_a_doubled_hour_fires_at_its_first_occurrence(fields: str, expected: list[str]) -> None:
    text = f"CRON_TZ=Europe/Berlin {fields}"

    assert firings(text, start="2026-10-24T00:00", number=len(expected)) == expected


def test_fixed_time_is_not_repeated_from_within_the_second_occurrence() -> None:
    second = datetime(2026, 10, 25, 2, 15, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))

    next_at = cron.next_time("CRON_TZ=Europe/Berlin 30 2 * * *", after=second.timestamp())

    assert next_at == datetime(2026, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


OFFSET_CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/Havana": ("2026-03-08T05:00", "2026-11-01T05:00"),  # at midnight
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),  # by half an hour
    "Antarctica/Troll": ("2026-03-29T01:00", "2026-10-25T01:00"),  # by two hours
}


@given(
    zone=st.sampled_from(sorted(OFFSET_CHANGES)),
    change=st.integers(0, 1),
    offset_s=st.integers(-4 * 3600, 4 * 3600),
    minute=st.sampled_from(["*", "*/15", "*/20", "0", "10,40"]),
    hour=st.sampled_from(["*", "*/2", "*/3"]),
)
def test_wildcards_follow_elapsed_time(zone: str, change: int, offset_s: int, minute: str, hour: str) -> None:
    """The oracle tries each minute of elapsed time."""
    changes_at = datetime.fromisoformat(OFFSET_CHANGES[zone][change]).replace(tzinfo=UTC).timestamp()
    after = int(changes_at) + offset_s

    def matches(time: int) -> bool:
        wall_clock = datetime.fromtimestamp(time, ZoneInfo(zone)).replace(tzinfo=UTC).timestamp()
        return cron.next_time(f"{minute} {hour} * * *", after=wall_clock - 1) == wall_clock

    minutes = range(after // 60 * 60 + 60, after + 86_400, 60)
    expected = next(time for time in minutes if matches(time))
    assert cron.next_time(f"CRON_TZ={zone} {minute} {hour} * * *", after=after) == expected


@pytest.mark.parametrize(
    ("zone", "text", "day", "expected"),
    [
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-03-28T12:00",
            ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T12:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "Europe/Berlin",
            "*/30 2 * * *",
            "2026-10-25T01:00",
            [
                "2026-10-25T02:00+02:00",
                "2026-10-25T02:30+02:00",
                "2026-10-25T02:00+01:00",
                "2026-10-25T02:30+01:00",
            ],
        ),
        (
            "America/New_York",
            "15 2 * * *",
            "2026-03-07T12:00",
            ["2026-03-08T03:00-04:00", "2026-03-09T02:15-04:00"],
        ),
        (
            "America/New_York",
            "15 1 * * *",
            "2026-10-31T12:00",
            ["2026-11-01T01:15-04:00", "2026-11-02T01:15-05:00"],
        ),
        (
            "America/New_York",
            "0 * * * *",
            "2026-11-01T00:30",
            ["2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00", "2026-11-01T02:00-05:00"],
        ),
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T12:00",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2026-04-04T12:00",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
    ],
)
def test_timezone_has_the_same_rules(zone: str, text: str, day: str, expected: list[str]) -> None:
    after = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).timestamp()
    times = []
    for _ in expected:
        next_at = cron.next_time(text, after=after, timezone=zone)
        assert next_at is not None
        times.append(datetime.fromtimestamp(next_at, ZoneInfo(zone)).isoformat(timespec="minutes"))
        after = next_at

    assert times == expected


def test_intervals_are_counted_from_an_earlier_firing() -> None:
    assert cron.next_time("@every 90s", after=1000.0, anchor=1000.0) == 1090.0
    assert cron.next_time("@every 90s", after=1100.5, anchor=1000.0) == 1180.0
    assert cron.next_time("@every 90s", after=1000.7) == 1090.0


FIELD = st.text("0123456789*,-/#LWSUNJA", min_size=1, max_size=6) | st.sampled_from(["*", "*/2", "1-5"])


EXPRESSION = st.lists(FIELD, min_size=5, max_size=5).map(" ".join)
ZONE = st.sampled_from(["CRON_TZ=Europe/Berlin ", "TZ=Australia/Lord_Howe ", "CRON_TZ=", ""])


@given(st.builds(str.__add__, ZONE, EXPRESSION | st.text(max_size=20)) | st.text())
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        cron.check(text)
    except ValueError:
        return
    assert cron.next_time(text, after=NOON) is not None
