"""The steps that a process runs, and their ends before their time."""

import threading

from tests.eventually import eventually
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.model import StepRef
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason
from tork_celery.worker.step_output import StepOutput

HOUR_S = 3600.0


def a_step(task_id: str = "t") -> ActiveStep:
    output = StepOutput(task_id=task_id, step=0, stored=LogPosition(), limit_bytes=100)
    return ActiveStep(ref=StepRef(task_id=task_id, delivery=1, step=0), job_id="j", output=output)


class Stops:
    """Remembers which steps were stopped."""

    def __init__(self) -> None:
        self.calls: list[tuple[StepRef, float]] = []
        self.steps = ActiveSteps(lambda ref, grace_s: self.calls.append((ref, grace_s)), grace_s=3.0)


def test_a_step_is_active_while_it_runs() -> None:
    steps, one, another = Stops().steps, a_step("1"), a_step("2")

    with steps.running(one), steps.running(another):
        assert steps.all() == [one, another]
    assert steps.all() == []


def test_a_step_that_is_ended_is_stopped_at_once() -> None:
    stops, step = Stops(), a_step()

    with stops.steps.running(step):
        stops.steps.kill(step, StopReason.SUPERSEDED)
        eventually(lambda: stops.calls)

    assert stops.calls == [(step.ref, 0.0)]


def test_a_step_that_a_user_cancels_has_time_to_end() -> None:
    stops, step = Stops(), a_step()

    with stops.steps.running(step):
        stops.steps.kill(step, StopReason.CANCELLED)
        eventually(lambda: stops.calls)

    assert stops.calls == [(step.ref, 3.0)]


def test_the_first_reason_counts() -> None:
    stops, step = Stops(), a_step()

    with stops.steps.running(step):
        stops.steps.kill(step, StopReason.RELEASED)
        stops.steps.kill(step, StopReason.SUPERSEDED)

    assert step.stop_reason is StopReason.RELEASED
    assert len(step.timers) == 1


def test_a_step_that_is_over_is_not_stopped() -> None:
    stops, step = Stops(), a_step()
    with stops.steps.running(step):
        pass

    stops.steps.kill(step, StopReason.SUPERSEDED)

    assert (step.stop_reason, stops.calls) == (None, [])


def test_a_step_is_stopped_when_its_time_is_up() -> None:
    stops, step = Stops(), a_step()

    with stops.steps.running(step):
        stops.steps.kill_after(step, 0.001, "1ms")
        stops.steps.kill_after(step, HOUR_S, "1h")
        eventually(lambda: stops.calls)

    assert (step.stop_reason, step.timeout) == (StopReason.TIMED_OUT, "1ms")


def test_a_time_that_is_over_already_stops_the_step() -> None:
    stops, step = Stops(), a_step()

    with stops.steps.running(step):
        stops.steps.kill_after(step, -5.0, "1s")
        eventually(lambda: stops.calls)


def test_timers_end_with_their_step() -> None:
    stops, step = Stops(), a_step()

    with stops.steps.running(step):
        stops.steps.kill_after(step, HOUR_S, "1h")
        [timer] = step.timers
    timer.join()

    assert timer not in threading.enumerate()
    assert stops.calls == []
