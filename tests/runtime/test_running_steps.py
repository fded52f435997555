import threading

import pytest

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import AlreadyStarted, Detached
from tork_celery.runtime.running_steps import KillTimers, RunningStep, RunningSteps

REF = StepRef(task_id="t", delivery=1, step=0)


class Spy:
    """A function that records its calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def __call__(self, *arguments: object) -> None:
        self.calls.append(arguments)


def test_kill_during_start_is_carried_out_after_the_start() -> None:
    step, kill, interrupt = RunningStep(), Spy(), Spy()

    with step.interruptible(interrupt):
        step.kill(1.5)
        assert not step.may_continue()
        step.mark_started(kill)

    assert (interrupt.calls, kill.calls) == ([()], [(1.5,)])


def test_kill_of_a_started_step_does_not_interrupt_its_reader() -> None:
    step, kill, interrupt = RunningStep(), Spy(), Spy()
    step.mark_started(kill)

    with step.interruptible(interrupt):
        step.kill(0)

    assert (interrupt.calls, kill.calls) == ([], [(0,)])


def test_detach_interrupts_a_blocking_call() -> None:
    step, interrupt = RunningStep(), Spy()

    with pytest.raises(Detached), step.interruptible(interrupt):  # noqa: PT012  the interruption causes the error
        step.detach()
        raise EngineUnavailable

    assert interrupt.calls == [()]
    with pytest.raises(Detached), step.interruptible(interrupt):
        pytest.fail("the step is detached")


def test_kill_interrupts_all_nested_calls_of_a_step_that_has_not_started() -> None:
    step, outer, inner = RunningStep(), Spy(), Spy()

    with step.interruptible(outer), step.interruptible(inner):
        step.kill(0.0)
    with step.interruptible(outer):
        step.kill(0.0)

    assert (outer.calls, inner.calls) == ([(), ()], [()])


def test_kill_that_fails_interrupts_the_reader() -> None:
    """The reader waits for the same engine that cannot kill the container."""
    step, interrupt = RunningStep(), Spy()

    def kill(_grace_s: float) -> None:
        raise EngineUnavailable

    step.mark_started(kill)
    with step.interruptible(interrupt), pytest.raises(EngineUnavailable):
        step.kill(0.0)

    assert interrupt.calls == [()]


def test_error_without_detach_propagates() -> None:
    with pytest.raises(EngineUnavailable), RunningStep().interruptible(Spy()):
        raise EngineUnavailable


def test_only_one_thread_can_enter_a_step() -> None:
    steps = RunningSteps()

    with steps.enter(REF), pytest.raises(AlreadyStarted), steps.enter(REF):
        pytest.fail("two threads have the step")
    with steps.enter(REF):
        pass


def test_kill_is_remembered_until_the_step_is_forgotten() -> None:
    steps = RunningSteps()
    assert not steps.kill(REF, 0)

    with steps.enter(REF) as step:
        assert not step.may_continue()
    steps.forget(REF)
    with steps.enter(REF) as step:
        assert step.may_continue()


def test_number_of_remembered_kills_is_limited() -> None:
    steps = RunningSteps()

    for number in range(5000):
        steps.kill(StepRef(task_id=str(number), delivery=1, step=0), 0)

    assert len(steps._killed) < 5000


def test_only_timers_that_were_not_cancelled_or_replaced_kill() -> None:
    kill_timers, killed, not_killed = KillTimers(), threading.Event(), Spy()
    other = StepRef(task_id="u", delivery=1, step=0)

    kill_timers.start(other, 0.05, not_killed)
    kill_timers.cancel(other)
    kill_timers.start(REF, 60, not_killed)
    kill_timers.start(REF, 0.1, killed.set)

    assert killed.wait(30)
    kill_timers.close()
    assert not_killed.calls == []
