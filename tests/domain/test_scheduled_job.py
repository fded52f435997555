"""Which firings a downtime misses, which of these are made up, and which firing follows."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.domain.samples import job_definition
from tork_celery.domain import scheduled_job
from tork_celery.domain.definition import Schedule
from tork_celery.domain.scheduled_job import MAX_LATENESS_S, MOST_CAUGHT_UP, Downtime, ScheduledJob

DOWNTIME = Downtime(start=600.0, end=1235.0)
NONE = Downtime(start=0.0, end=0.0)


def scheduled(cron: str, **schedule: Any) -> ScheduledJob:
    definition = job_definition(schedule=Schedule(cron=cron, **schedule))
    return scheduled_job.new(definition, now=0.0, id_="s")


@pytest.mark.parametrize(
    ("fires_at", "missed"),
    [
        (60.0, False),
        (600.0, False),
        (601.0, True),
        (1200.0, True),
        (1205.0, False),
        (1234.0, False),
        (2000.0, False),
    ],
)
def test_firing_is_missed_if_no_coordinator_ran_soon_after_it(fires_at: float, *, missed: bool) -> None:
    assert DOWNTIME.misses(fires_at) is missed


@pytest.mark.parametrize(
    ("cron", "due_at", "downtime", "expected"),
    [
        ("* * * * *", 60.0, NONE, 120.0),
        ("* * * * *", 60.0, DOWNTIME, 120.0),
        ("* * * * *", 600.0, DOWNTIME, 1260.0),
        ("* * * * *", 660.0, DOWNTIME, 1260.0),
        ("* * * * *", 660.0, Downtime(start=600.0, end=1225.0), 1200.0),
        ("0 * * * *", 0.0, Downtime(start=600.0, end=9999.0), 10_800.0),
        ("@every 90s", 540.0, NONE, 630.0),
        ("@every 90s", 540.0, DOWNTIME, 1260.0),
        ("@every 90s", 630.0, DOWNTIME, 1260.0),
        ("@every 50s", 550.0, DOWNTIME, 600.0),
    ],
)
def test_next_firing_is_the_first_that_is_not_missed(
    cron: str, due_at: float, downtime: Downtime, expected: float
) -> None:
    """A firing that is late without a downtime is followed by the next one, which may be late too."""
    firing = scheduled_job.due_firing(scheduled(cron), due_at=due_at, downtime=downtime, now=downtime.end)

    assert firing.next_at == expected


UP_AGAIN = datetime(2026, 11, 24, 15, 10, tzinfo=UTC).timestamp()
THREE_HOURS = Downtime(start=UP_AGAIN - 3 * 3600, end=UP_AGAIN)


def firings_until(end: float, job: ScheduledJob, downtime: Downtime, *, now: float) -> list[str]:
    """Return the times of the firings that create jobs, until the next one is later than `end`."""
    made = []
    at = job.next_time(after=downtime.start, anchor=downtime.start)
    while at is not None and at <= end:
        firing = scheduled_job.due_firing(job, due_at=at, downtime=downtime, now=now)
        if firing.makes_job:
            made.append(datetime.fromtimestamp(at, UTC).strftime("%H:%M"))
        assert firing.next_at is None or firing.next_at > at
        job, at = replace(job, caught_up=firing.caught_up), firing.next_at
    return made


@pytest.mark.parametrize(
    ("cron", "schedule", "expected"),
    [
        ("0 * * * *", {}, ["16:00"]),
        ("0 * * * *", {"catch_up": "none"}, ["16:00"]),
        ("0 * * * *", {"catch_up": "all"}, ["13:00", "14:00", "15:00", "16:00"]),
        ("0 * * * *", {"catch_up": "all", "within": "90m"}, ["14:00", "15:00", "16:00"]),
        ("0 * * * *", {"catch_up": "all", "within": "1m"}, ["16:00"]),
        ("30 14 * * *", {"catch_up": "all"}, ["14:30"]),
        ("30 14 * * *", {"catch_up": "all", "within": "30m"}, []),
        ("30 14 * * *", {"catch_up": "last", "within": "1h"}, ["14:30"]),
        ("30 14 * * *", {"catch_up": "last", "within": "30m"}, []),
    ],
)
@pytest.mark.covers("Schedule.within")
def test_missed_firings_are_made_up_after_three_hours(
    cron: str, schedule: dict[str, str], expected: list[str]
) -> None:
    end = UP_AGAIN + 3600
    assert firings_until(end, scheduled(cron, **schedule), THREE_HOURS, now=UP_AGAIN) == expected


@pytest.mark.parametrize(
    ("cron", "expected"), [("0 * * * *", "13:00"), ("* * * * *", "12:11"), ("@every 7m", "12:17")]
)
def test_last_missed_firing_is_made_up_once(cron: str, expected: str) -> None:
    """It is made when the first missed one is due."""
    end = THREE_HOURS.missed_until - 1

    assert firings_until(end, scheduled(cron, catch_up="last"), THREE_HOURS, now=UP_AGAIN) == [expected]


def test_most_firings_that_are_made_up_are_the_oldest_hundred() -> None:
    job = scheduled("* * * * *", catch_up="all")

    made = firings_until(THREE_HOURS.end - MAX_LATENESS_S - 1, job, THREE_HOURS, now=UP_AGAIN)

    assert (len(made), made[0], made[-1]) == (MOST_CAUGHT_UP, "12:11", "13:50")


def test_skipped_firings_are_reported() -> None:
    def skips(**schedule: str) -> bool:
        job = scheduled("0 * * * *", **schedule)
        due_at = UP_AGAIN - 2 * 3600 - 600
        return scheduled_job.due_firing(job, due_at=due_at, downtime=THREE_HOURS, now=UP_AGAIN).skipped

    assert skips()
    assert skips(catch_up="last")
    assert skips(catch_up="all", within="1h")
    assert not skips(catch_up="all")


def test_timezone_holds_for_the_cron_expression() -> None:
    berlin = scheduled("30 4 * * *", timezone="Europe/Berlin")

    assert berlin.next_time(after=UP_AGAIN) == datetime(2026, 11, 25, 3, 30, tzinfo=UTC).timestamp()
