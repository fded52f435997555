"""Which firings a downtime misses, and which firing follows."""

import pytest

from tests.domain.samples import job_definition
from tork_celery.domain import scheduled_job
from tork_celery.domain.definition import Schedule
from tork_celery.domain.scheduled_job import Downtime, ScheduledJob

DOWNTIME = Downtime(start=600.0, end=1235.0)
NONE = Downtime(start=0.0, end=0.0)


def scheduled(cron: str) -> ScheduledJob:
    definition = job_definition(schedule=Schedule(cron=cron))
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
    assert scheduled_job.next_firing(scheduled(cron), due_at=due_at, downtime=downtime) == expected
