"""Active steps are killed once, for the first reason, with the grace period of that reason."""

import threading

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.eventually import eventually
from tork_celery import log_masks
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.masking import MaskedValues
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import TaskState
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason
from tork_celery.worker.step_output import StepOutput

GRACE_S = 3.0
HOUR_S = 3600.0


def make_step(task_id: str = "t", *secrets: str) -> ActiveStep:
    masker = MaskedValues(secrets).masker()
    output = StepOutput(task_id=task_id, step=0, stored=LogPosition(), limit_bytes=100, masker=masker)
    return ActiveStep(ref=StepRef(task_id=task_id, delivery=1, step=0), job_id="j", output=output)


class Kills:
    """Active steps whose kills are recorded."""

    def __init__(self) -> None:
        self.calls: list[tuple[StepRef, float]] = []
        self.steps = ActiveSteps(lambda ref, grace_s: self.calls.append((ref, grace_s)), grace_s=GRACE_S)


def test_step_is_active_within_its_context() -> None:
    steps, first, second = Kills().steps, make_step("1"), make_step("2")

    with steps.running(first), steps.running(second):
        assert steps.all() == [first, second]
        assert steps.of_delivery("2", 1) == [second]
        assert steps.of_delivery("2", 2) == []
    assert steps.all() == []


def test_log_of_the_process_shows_no_secret_of_an_active_step() -> None:
    """For example in an error of the engine that quotes the name of an image."""
    steps, records = Kills().steps, list[EventDict]()

    def log(reason: str) -> None:
        records.append(log_masks.mask_record(None, "", {"event": "step.engine_away", "reason": reason}))

    with steps.running(make_step("1", "hunter2")), steps.running(make_step("2", "secret2")):
        log("image hunter2/secret2 is away")
    log("image hunter2 is away")

    assert [record["reason"] for record in records] == [
        "image [REDACTED]/[REDACTED] is away",
        "image hunter2 is away",
    ]


@pytest.mark.parametrize(
    ("reason", "grace_s"),
    [
        (StopReason.CANCELLED, GRACE_S),
        (StopReason.STOPPED, GRACE_S),
        (StopReason.SUPERSEDED, 0.0),
        (StopReason.RELEASED, 0.0),
        (StopReason.TIMED_OUT, 0.0),
    ],
)
def test_only_cancelled_and_stopped_steps_have_a_grace_period(reason: StopReason, grace_s: float) -> None:
    kills, step = Kills(), make_step()

    with kills.steps.running(step):
        kills.steps.kill(step, reason)
        eventually(lambda: kills.calls)

    assert kills.calls == [(step.ref, grace_s)]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (TaskState.CANCELLED, "a user cancelled the task"),
        (TaskState.STOPPED, "the job or a sibling of the task failed"),
        (None, "the task no longer belongs to this node"),
    ],
)
def test_log_says_why_a_step_was_stopped(state: TaskState | None, reason: str) -> None:
    kills, step = Kills(), make_step()

    with capture_logs() as records, kills.steps.running(step):
        kills.steps.kill(step, StopReason.of_lost_task(state))

    assert [record["reason"] for record in records if record["event"] == "step.stopped"] == [reason]


def test_first_reason_counts() -> None:
    kills, step = Kills(), make_step()

    with kills.steps.running(step):
        kills.steps.kill(step, StopReason.RELEASED)
        kills.steps.kill(step, StopReason.SUPERSEDED)

    assert step.stop_reason is StopReason.RELEASED
    assert len(step.timers) == 1


def test_ended_step_is_not_killed() -> None:
    kills, step = Kills(), make_step()
    with kills.steps.running(step):
        pass

    kills.steps.kill(step, StopReason.SUPERSEDED)

    assert (step.stop_reason, kills.calls) == (None, [])


def test_step_is_killed_at_its_first_timeout() -> None:
    kills, step = Kills(), make_step()

    with kills.steps.running(step):
        kills.steps.kill_after(step, 0.001, "1ms")
        kills.steps.kill_after(step, HOUR_S, "1h")
        eventually(lambda: kills.calls)

    assert (step.stop_reason, step.timeout) == (StopReason.TIMED_OUT, "1ms")


def test_expired_timeout_kills_at_once() -> None:
    kills, step = Kills(), make_step()

    with kills.steps.running(step):
        kills.steps.kill_after(step, -5.0, "1s")
        eventually(lambda: kills.calls)


def test_timers_end_with_their_step() -> None:
    kills, step = Kills(), make_step()

    with kills.steps.running(step):
        kills.steps.kill_after(step, HOUR_S, "1h")
        [timer] = step.timers
    timer.join()

    assert timer not in threading.enumerate()
    assert kills.calls == []
