"""What the end of a step means for its task: a result or an error."""

from dataclasses import dataclass

from tork_celery.runtime.protocol import MAX_RESULT_BYTES, StepExit
from tork_celery.worker.active_steps import ActiveStep, StopReason
from tork_celery.worker.step_output import StepOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """`error` is None when the step succeeded; `result` is None unless it is the main step."""

    error: str | None = None
    result: str | None = None


def outcome_of(exit_: StepExit, step: ActiveStep, *, is_main: bool) -> StepOutcome:
    if step.stop_reason is StopReason.TIMED_OUT:
        return StepOutcome(error=f"timed out after {step.timeout}")
    if exit_.code != 0:
        return StepOutcome(error=_error(exit_, step.output))
    return StepOutcome(result=_result(exit_, step.output) if is_main else None)


def _result(exit_: StepExit, output: StepOutput) -> str:
    """What the step wrote to TORK_OUTPUT or, where that is nothing, printed on stdout."""
    written = exit_.output or output.stdout()
    cut = len(written) > MAX_RESULT_BYTES
    if cut:
        output.note(f"the result is longer than {MAX_RESULT_BYTES} bytes, and was cut there")
    # a character that the cut went through is left out; PostgreSQL cannot store NUL in a text
    text = written[:MAX_RESULT_BYTES].decode("utf-8", errors="ignore" if cut else "replace")
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _error(exit_: StepExit, output: StepOutput) -> str:
    """The exit code, what is known of its cause, and the last ten lines of the output."""
    said = [f"exit code {exit_.code}", exit_.note, output.last_lines()]
    return ": ".join(text for text in said if text)
