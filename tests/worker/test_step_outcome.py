"""The exit of a step becomes a result or an error of its task."""

import pytest

from tork_celery.domain.logs import LogPosition
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import FailureCause
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, StepExit, Stream
from tork_celery.worker.active_steps import ActiveStep, StopReason
from tork_celery.worker.step_outcome import StepOutcome, outcome_of
from tork_celery.worker.step_output import StepOutput


def make_step(
    stdout: bytes = b"", *, stop_reason: StopReason | None = None, timeout: str | None = None
) -> ActiveStep:
    output = StepOutput(task_id="t", step=0, stored=LogPosition(), limit_bytes=10_000_000)
    output(Stream.STDOUT, stdout)
    ref = StepRef(task_id="t", delivery=1, step=0)
    return ActiveStep(ref=ref, job_id="j", output=output, stop_reason=stop_reason, timeout=timeout)


def result_of(stdout: bytes, written: bytes | None = None) -> str | None:
    return outcome_of(StepExit(code=0, output=written), make_step(stdout), is_main=True).result


@pytest.mark.parametrize(
    ("exit_", "stop_reason", "exit_code", "cause"),
    [
        (StepExit(code=0), None, None, None),
        (StepExit(code=3), None, 3, None),
        (StepExit(code=137, out_of_memory=True), None, 137, FailureCause.OUT_OF_MEMORY),
        (StepExit(code=137), StopReason.TIMED_OUT, None, FailureCause.TIMEOUT),
        (StepExit(code=137), StopReason.OUT_OF_DISK, None, None),
    ],
)
def test_failure_has_its_cause(
    exit_: StepExit, stop_reason: StopReason | None, exit_code: int | None, cause: FailureCause | None
) -> None:
    outcome = outcome_of(exit_, make_step(stop_reason=stop_reason, timeout="1s"), is_main=True)

    assert (outcome.exit_code, outcome.cause) == (exit_code, cause)


def error_of(code: int, *, note: str | None = None, stdout: bytes = b"") -> str | None:
    return outcome_of(StepExit(code=code, note=note), make_step(stdout), is_main=True).error


@pytest.mark.parametrize(
    ("stdout", "written", "result"),
    [
        (b"printed\n", b"written", "written"),
        (b"printed\n", None, "printed\n"),
        (b"printed\n", b"", "printed\n"),
        (b"", None, ""),
        (b"\xff\x00", None, "\ufffd\ufffd"),
        (b"", b"a\x00b", "a\ufffdb"),
    ],
)
def test_result_is_the_output_file_or_else_stdout(stdout: bytes, written: bytes | None, result: str) -> None:
    assert result_of(stdout, written) == result


@pytest.mark.parametrize("written", [False, True])
def test_long_result_is_cut_with_a_note_in_the_log(*, written: bool) -> None:
    long = b"x" * (MAX_RESULT_BYTES + 1)
    step = make_step(b"" if written else long)

    outcome = outcome_of(StepExit(code=0, output=long if written else None), step, is_main=True)

    assert outcome.result == "x" * MAX_RESULT_BYTES
    with step.output.storing(final=True) as batch:
        assert f"longer than {MAX_RESULT_BYTES} bytes" in batch.parts[-1].contents


def test_note_on_a_successful_step_is_a_line_of_its_log() -> None:
    step = make_step(b"printed\n")

    outcome = outcome_of(StepExit(code=0, note="TORK_OUTPUT is not a regular file"), step, is_main=True)

    assert outcome.result == "printed\n"
    with step.output.storing(final=True) as batch:
        assert batch.parts[-1].contents.endswith("TORK_OUTPUT is not a regular file\n")


def test_longest_result_is_not_cut() -> None:
    assert result_of(b"x" * MAX_RESULT_BYTES) == "x" * MAX_RESULT_BYTES


def test_character_that_the_cut_splits_is_dropped() -> None:
    assert result_of(b"x" + "ä".encode() * MAX_RESULT_BYTES) == "x" + "ä" * (MAX_RESULT_BYTES // 2 - 1)


def test_only_the_main_step_has_a_result() -> None:
    assert outcome_of(StepExit(code=0, output=b"x"), make_step(b"y"), is_main=False) == StepOutcome()


def test_error_has_exit_code_note_and_last_lines() -> None:
    assert error_of(1) == "exit code 1"
    assert error_of(1, stdout=b"a\nb\n") == "exit code 1: a\nb"
    assert error_of(137, note="out of memory", stdout=b"a\n") == "exit code 137: out of memory: a"


@pytest.mark.parametrize("code", [0, 137])
def test_timed_out_step_failed_with_any_exit_code(code: int) -> None:
    step = make_step(b"x", stop_reason=StopReason.TIMED_OUT, timeout="5s")

    expected = StepOutcome(error="timed out after 5s", cause=FailureCause.TIMEOUT)
    assert outcome_of(StepExit(code=code), step, is_main=True) == expected
