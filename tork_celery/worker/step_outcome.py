"""What the end of a step means for its task: a result or an error."""

from dataclasses import dataclass

from tork_celery.domain.states import FailureCause
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, StepExit
from tork_celery.worker.active_steps import ActiveStep, StopReason
from tork_celery.worker.step_output import StepOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """`error` is None if the step succeeded. Only a main step has a `result`.

    A step that failed by itself has an `exit_code`; one that the worker or the kernel killed may have a
    `cause`.
    """

    error: str | None = None
    result: str | None = None
    exit_code: int | None = None
    cause: FailureCause | None = None


def outcome_of(exit_: StepExit, step: ActiveStep, *, is_main: bool) -> StepOutcome:
    """Return the outcome of a step that has ended, and write to the task's log why it failed."""
    if step.stop_reason is StopReason.TIMED_OUT:
        return StepOutcome(error=step.kill_reason, cause=FailureCause.TIMEOUT)
    if step.stop_reason is StopReason.OUT_OF_DISK:
        return StepOutcome(error=step.kill_reason)
    if exit_.code != 0:
        return _failure(exit_, step)
    if exit_.note:
        step.output.note(exit_.note)
    return StepOutcome(result=_result(exit_, step.output) if is_main else None)


def _failure(exit_: StepExit, step: ActiveStep) -> StepOutcome:
    reason = ": ".join(part for part in (f"exit code {exit_.code}", exit_.note) if part)
    last_lines = step.output.last_lines()
    if step.stop_reason is None:
        step.output.note(reason)
    error = f"{reason}: {last_lines}" if last_lines else reason
    cause = FailureCause.OUT_OF_MEMORY if exit_.out_of_memory else None
    return StepOutcome(error=error, exit_code=exit_.code, cause=cause)


def _result(exit_: StepExit, output: StepOutput) -> str:
    """Return what the step wrote to TORK_OUTPUT, or its stdout if it wrote nothing there."""
    written = exit_.output or output.stdout()
    too_long = len(written) > MAX_RESULT_BYTES
    if too_long:
        output.note(f"the result is longer than {MAX_RESULT_BYTES} bytes, and was cut there")
    # "ignore" drops a character that the cut splits. PostgreSQL cannot store NUL in a text.
    text = written[:MAX_RESULT_BYTES].decode("utf-8", errors="ignore" if too_long else "replace")
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    # No mask finds a value that is cut
    return output.mask_result(output.masker.without_cut_value(text) if too_long else text)
