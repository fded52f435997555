"""What goes on in the background outlives a bug in it, and ends when it is told to."""

import pytest

from tests.eventually import eventually
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.periodic_thread import PeriodicThread, survive_bugs


class Turns:
    """Each turn does what is next: it raises an error, or nothing is left to do."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken = 0

    def __call__(self) -> None:
        self.taken += 1
        if self.errors:
            raise self.errors.pop(0)


def repeating(turns: Turns) -> PeriodicThread:
    return PeriodicThread(turns, name="t", interval_s=0.01, missed="test.missed", broken="test.broken")


@pytest.mark.parametrize("error", [ValueError("a bug"), DatastoreUnavailable("away")])
def test_the_next_turn_comes_whatever_was_raised(error: Exception) -> None:
    turns = Turns(error)
    repeater = repeating(turns)
    repeater.start()
    eventually(lambda: turns.taken > 1)
    repeater.stop()


def test_no_turn_begins_after_the_stop() -> None:
    turns = Turns()
    repeater = repeating(turns)
    repeater.start()
    eventually(lambda: turns.taken)
    repeater.stop()

    taken = turns.taken

    assert repeater.pause()
    assert turns.taken == taken


def test_a_bug_goes_no_further_and_what_is_away_is_raised() -> None:
    with survive_bugs("test.broken"):
        raise KeyError
    with pytest.raises(DatastoreUnavailable), survive_bugs("test.broken"):
        raise DatastoreUnavailable("away")
