"""The part of the runtime contract about files, results, progress and environment."""

import stat
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Runtime


class ExchangeContract:
    """A part of RuntimeContract."""

    @pytest.fixture
    def sink(self) -> RecordingSink:
        return RecordingSink()

    def test_result_is_what_the_step_wrote_to_output(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        assert run_step(runtime, steps.step("printf 42 > $TORK_OUTPUT"), sink).output == b"42"

    def test_output_file_may_be_replaced_by_a_move(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        script = "printf 42 > $TORK_OUTPUT.new; mv $TORK_OUTPUT.new $TORK_OUTPUT"

        assert run_step(runtime, steps.step(script), sink).output == b"42"

    @pytest.mark.parametrize("script", ["true", "rm -f $TORK_OUTPUT"], ids=["untouched", "removed"])
    def test_step_may_write_no_result(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, script: str
    ) -> None:
        step_exit = run_step(runtime, steps.step(script), sink)

        assert (step_exit.code, step_exit.output or None, step_exit.note) == (0, None, None)

    @pytest.mark.parametrize(
        "script",
        ["ln -s /etc/passwd $TORK_OUTPUT", "mkfifo $TORK_OUTPUT", "mkdir $TORK_OUTPUT"],
        ids=["link", "fifo", "directory"],
    )
    def test_only_a_regular_file_is_read_as_result(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, script: str
    ) -> None:
        step_exit = run_step(runtime, steps.step(f"rm -f $TORK_OUTPUT; {script}"), sink)

        assert (step_exit.code, step_exit.output) == (0, None)
        assert step_exit.note == "TORK_OUTPUT is not a regular file; the result is what the step printed"

    @pytest.mark.covers("Step.cmd")
    def test_script_is_executed_with_its_arguments(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        script = "#!/usr/bin/env sh\nprintf '<%s>' \"$@\""

        run_step(runtime, steps.step(script, cmd=("x", "two words", "$HOME")), sink)

        assert sink.stdout == b"<x><two words><$HOME>"

    def test_result_is_read_up_to_one_byte_above_the_limit(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        script = "dd if=/dev/zero of=$TORK_OUTPUT bs=100000 count=1 2>/dev/null"

        step_exit = run_step(runtime, steps.step(script), sink)

        assert step_exit.output == bytes(MAX_RESULT_BYTES + 1)

    def test_ended_step_uses_little_space_once_that_is_freed(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("dd if=/dev/zero of=$TORK_OUTPUT bs=1000000 count=3 2>/dev/null")
        run_step(runtime, run, sink)
        disk, *_ = runtime.disks()
        before = runtime.used_bytes(run.ref.task_id, run.ref.delivery)
        assert disk.usage()[run.ref.task_id, run.ref.delivery] >= before

        runtime.free_space(run.ref)

        assert before > 3_000_000
        assert runtime.used_bytes(run.ref.task_id, run.ref.delivery) < 500_000

    def test_ended_steps_of_an_earlier_process_are_freed(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("dd if=/dev/zero of=$TORK_OUTPUT bs=1000000 count=3 2>/dev/null")
        run_step(runtime, run, sink)

        runtime.free_ended()

        assert runtime.used_bytes(run.ref.task_id, run.ref.delivery) < 500_000

    def test_step_sees_its_environment(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step('echo "$GREETING|$TORK_TASK_ID|$TORK_JOB_ID"', env={"GREETING": 'it\'s = "fine"'})

        run_step(runtime, run, sink)

        assert sink.stdout.decode() == f'it\'s = "fine"|{run.ref.task_id}|job-1\n'

    @pytest.mark.covers("Step.files")
    def test_files_are_in_the_work_directory(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        files = {"a.txt": "first ", "deep/er/b.txt": "sécond"}
        script = "cat a.txt deep/er/b.txt; echo x > new; echo y > deep/new; echo z >> a.txt"

        assert run_step(runtime, steps.step(script, files=files), sink).code == 0
        assert sink.stdout.decode() == "first sécond"

    @pytest.mark.covers("Task.workdir")
    def test_step_starts_in_its_workdir_with_its_files(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, absolute_workdir: str
    ) -> None:
        run = steps.step(
            "pwd; cat a.txt sub/b.txt", workdir=absolute_workdir, files={"a.txt": "A", "sub/b.txt": "B"}
        )

        assert run_step(runtime, run, sink).code == 0
        assert sink.stdout.decode() == f"{absolute_workdir}\nAB"

    @pytest.mark.parametrize(
        "name", ["../x", "/etc/x", "a/../../x", "", ".", "a/", "a\0b", "x" * 300, "a\ud800"]
    )
    def test_invalid_file_name_fails_the_step(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, name: str
    ) -> None:
        with pytest.raises(StepFailed, match="files"):
            run_step(runtime, steps.step("true", files={name: "x"}), sink)

        assert sink.start_count == 0

    def test_progress_is_read_while_the_step_runs(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("echo 42.5 > $TORK_PROGRESS; echo ready; sleep 300")
        assert runtime.progress(run.ref) is None
        future = start_step(runtime, run, sink)
        sink.wait_for(b"ready")

        eventually(lambda: runtime.progress(run.ref) == 42.5)
        runtime.kill(run.ref)
        future.result(TIMEOUT_S)

    @pytest.mark.parametrize(
        "script",
        [
            "true",
            "echo half > $TORK_PROGRESS",
            "echo 101 > $TORK_PROGRESS",
            "echo nan > $TORK_PROGRESS",
            "rm -f $TORK_PROGRESS; mkfifo $TORK_PROGRESS",
        ],
    )
    def test_progress_that_is_not_a_percentage_is_ignored(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, script: str
    ) -> None:
        run = steps.step(script)
        run_step(runtime, run, sink)

        assert runtime.progress(run.ref) is None

    def test_work_directory_is_not_accessible_to_other_users(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, tmp_path: Path
    ) -> None:
        run_step(runtime, steps.step("true"), sink)

        assert stat.S_IMODE((tmp_path / "work").stat().st_mode) == 0o700
