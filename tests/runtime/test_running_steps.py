import threading

import pytest

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import AlreadyRun, Detached
from tork_celery.runtime.running_steps import KillTimers, RunningStep, RunningSteps

REF = StepRef(task_id="t", delivery=1, step=0)


class Spy:
    def __init__(self) -> None:
        self.calls: list[object] = []

    def __call__(self, *arguments: object) -> None:
        self.calls.append(arguments)


def test_a_stop_that_comes_while_the_step_starts_is_served_once_it_has() -> None:
    step, end, wake = RunningStep(), Spy(), Spy()

    with step.blocking(wake):
        step.kill(1.5)
        assert not step.proceed()
        step.began(end)

    assert (wake.calls, end.calls) == ([()], [(1.5,)])


def test_a_step_that_runs_is_ended_and_its_reader_not_woken() -> None:
    step, end, wake = RunningStep(), Spy(), Spy()
    step.began(end)

    with step.blocking(wake):
        step.kill(0)

    assert (wake.calls, end.calls) == ([], [(0,)])


def test_a_step_that_is_left_wakes_up_and_goes() -> None:
    step, wake = RunningStep(), Spy()

    with pytest.raises(Detached), step.blocking(wake):  # noqa: PT012  the failure is the wake-up's doing
        step.detach()
        raise EngineUnavailable

    assert wake.calls == [()]
    with pytest.raises(Detached), step.blocking(wake):
        pytest.fail("it has been left")


def test_a_failure_that_has_nothing_to_do_with_leaving_stays_one() -> None:
    with pytest.raises(EngineUnavailable), RunningStep().blocking(Spy()):
        raise EngineUnavailable


def test_one_thread_at_a_time_has_a_step() -> None:
    steps = RunningSteps()

    with steps.enter(REF), pytest.raises(AlreadyRun), steps.enter(REF):
        pytest.fail("two threads have it")
    with steps.enter(REF):
        pass


def test_a_stop_is_remembered_until_the_step_is_over() -> None:
    steps = RunningSteps()
    assert not steps.kill(REF, 0)

    with steps.enter(REF) as step:
        assert not step.proceed()
    steps.forget(REF)
    with steps.enter(REF) as step:
        assert step.proceed()


def test_stops_of_steps_that_never_come_do_not_pile_up() -> None:
    steps = RunningSteps()

    for number in range(5000):
        steps.kill(StepRef(task_id=str(number), delivery=1, step=0), 0)

    assert len(steps._killed) < 5000


def test_a_grace_that_is_over_kills_and_one_that_was_cancelled_does_not() -> None:
    kill_timers, killed, spared = KillTimers(), threading.Event(), Spy()
    other = StepRef(task_id="u", delivery=1, step=0)

    kill_timers.give(other, 0.05, spared)
    kill_timers.cancel(other)
    kill_timers.give(REF, 60, spared)
    kill_timers.give(REF, 0.1, killed.set)

    assert killed.wait(30)
    kill_timers.close()
    assert spared.calls == []
