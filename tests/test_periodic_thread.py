"""A periodic thread survives outages and bugs, and runs nothing after its stop."""

import pytest

from tests.eventually import eventually
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.periodic_thread import PeriodicThread, survive_bugs


class Action:
    """Raises one error per run while there are any left, and counts the runs."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)


def make_thread(action: Action) -> PeriodicThread:
    return PeriodicThread(action, name="t", interval_s=0.01, bug_event="test.failed")


@pytest.mark.parametrize("error", [ValueError("a bug"), DatastoreUnavailable("away")])
def test_next_run_follows_a_run_that_raised(error: Exception) -> None:
    action = Action(error)
    thread = make_thread(action)
    thread.start()
    eventually(lambda: action.runs > 1)
    thread.stop()


def test_no_run_starts_after_the_stop() -> None:
    action = Action()
    thread = make_thread(action)
    thread.start()
    eventually(lambda: action.runs)
    thread.stop()

    runs = action.runs

    assert thread.wait()
    assert action.runs == runs


def test_bugs_are_suppressed_and_outages_are_raised() -> None:
    with survive_bugs("test.failed"):
        Action(KeyError())()
    with pytest.raises(DatastoreUnavailable), survive_bugs("test.failed"):
        Action(DatastoreUnavailable("away"))()
