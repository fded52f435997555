"""Times, durations and time zones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.expr.hosts import HOST
from tork_celery.expr import Duration, ExpressionError, evaluate, render

_CONTEXT = {"at": datetime(2024, 1, 31, 23, 0, tzinfo=UTC), "bare": datetime(2024, 1, 31, 23, 0)}  # noqa: DTZ001 - a time without a zone is tested


def _value(source: str) -> object:
    return evaluate(source, _CONTEXT, HOST)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("now().Year()", 2024),
        ("now().Month() == 2", True),
        ("string(now().Month())", "February"),
        ("type(now().Month())", "time.Month"),
        ("int(now().Month())", 2),
        ("now().Weekday().String()", "Thursday"),
        ("now().YearDay()", 60),
        ("now().Nanosecond()", 250_000_000),
        ("now().UnixMilli()", 1_709_211_909_250),
        ("now(timezone('Asia/Tokyo')).Hour()", 22),
        (
            "now().In(timezone('America/New_York')).Format('2006-01-02 03:04 PM MST')",
            "2024-02-29 08:05 AM EST",
        ),
        (
            "now().Format('Mon Jan _2 15:04:05.000 2006 -0700 Z07:00 06 002')",
            "Thu Feb 29 13:05:09.250 2024 +0000 Z 24 060",
        ),
        ("now() > at", True),
        ("now().After(at) and at.Before(now())", True),
        ("at == bare", True),
        ("(now() - at).Hours()", 686.0859027777778),
        ("at.AddDate(0, 1, 0).Format('2006-01-02')", "2024-03-02"),
        ("(at + duration('1h')).Day()", 1),
        ("(duration('1h') + at).Equal(at.Add(duration('60m')))", True),
        ("string(at.Truncate(duration('24h')))", "2024-01-31 00:00:00 +0000 UTC"),
        ("date('2023-08-14').Weekday() == 1", True),
        ("date('2023-08-14 10:11:12').Minute()", 11),
        ("date('14 Aug 23 10:00 UTC').Unix()", 1_692_007_200),
        ("date('Mon, 14 Aug 2023 10:00:00 UTC').Unix()", 1_692_007_200),
        ("date('10:11:12').Hour()", 10),
        ("date('2023-08-14T10:00:00.5+02:00').UTC().Hour()", 8),
        ("date('14/8/2023', '2/1/2006').Month() == 8", True),
        ("date('2023-08-14 00:00', '2006-01-02 15:04', 'Europe/Zurich').UTC().Day()", 13),
        ("date(timezone('Europe/Zurich'), '2023-08-14').UTC().Hour()", 22),
        ("string(now().Location())", "UTC"),
        ("duration('1h30m') > duration('89m')", True),
        ("string(duration('1h') * 1.5)", "1h30m0s"),
        ("string(duration('1500us'))", "1.5ms"),
        ("string(duration('-1.5s'))", "-1.5s"),
        ("string(duration('0'))", "0s"),
        ("duration('90s').Minutes()", 1.5),
        ("duration('1.9ms').Milliseconds()", 1),
        ("duration('-1h').Abs().Hours()", 1.0),
        ("string(duration('1h31m').Round(duration('1h')))", "2h0m0s"),
        ("int(duration('1us'))", 1_000),
        ("toJSON([duration('1us'), date('2023-08-14')])", '[\n  1000,\n  "2023-08-14T00:00:00Z"\n]'),
        ("sort([now(), at])[0] == at", True),
    ],
)
def test_values_of_times_and_durations(source: str, value: object) -> None:
    assert _value(source) == pytest.approx(value) if isinstance(value, float) else _value(source) == value


@pytest.mark.parametrize(
    "source",
    [
        "date('2023-02-30')",
        "date('soon')",
        "date('')",
        "date('x', 1)",
        "duration('1')",
        "duration('')",
        "duration('10000000000h')",
        "timezone('../../etc/passwd')",
        "timezone('Nope/Nope')",
        "now().Year",
        "now().Nowhere()",
        "now().__class__",
        "now().tzinfo()",
        "now() + 1",
        "now() == 1",
        "now() + duration('2562047h') + duration('2562047h') + date('9999-12-31')",
        "date('9999-12-31') + duration('48h')",
    ],
)
def test_invalid_dates_and_methods_are_rejected(source: str) -> None:
    with pytest.raises(ExpressionError):
        _value(source)


def test_results_are_datetime_and_duration_objects() -> None:
    assert _value("date('2023-08-14')") == datetime(2023, 8, 14, tzinfo=UTC)
    assert _value("duration('1h')") == Duration(3_600_000_000_000)
    assert _value("date('2023-08-14T10:00:00+02:00')") == datetime(
        2023, 8, 14, 10, tzinfo=timezone(timedelta(hours=2))
    )


def test_templates_format_dates_and_durations_as_go_does() -> None:
    assert (
        render("{{ date('2023-08-14') }}, {{ duration('90s') }}", {}, HOST)
        == "2023-08-14 00:00:00 +0000 UTC, 1m30s"
    )


def test_clock_is_read_only_by_now() -> None:
    def forbidden() -> datetime:
        raise AssertionError

    assert evaluate("1 + 1", {}, replace(HOST, now=forbidden)) == 2
