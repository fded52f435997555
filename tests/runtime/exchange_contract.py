"""What every runtime does with the files that it exchanges with a step: the second half of its contract."""

import stat
from pathlib import Path

import pytest

from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, start
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Runtime, StepExit, StepRun


class ExchangeContract:
    """A part of RuntimeContract."""

    @pytest.fixture
    def recorder(self) -> Recorder:
        return Recorder()

    @staticmethod
    def run(runtime: Runtime, run: StepRun, recorder: Recorder) -> StepExit:
        return runtime.run(run, recorder, started=recorder.started)

    def test_the_result_is_what_the_step_wrote(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        assert self.run(runtime, steps.step("printf 42 > $TORK_OUTPUT"), recorder).output == b"42"

    def test_a_file_moved_to_the_place_of_the_result_is_the_result(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        script = "printf 42 > $TORK_OUTPUT.new; mv $TORK_OUTPUT.new $TORK_OUTPUT"

        assert self.run(runtime, steps.step(script), recorder).output == b"42"

    @pytest.mark.parametrize(
        "script",
        [
            "true",
            "rm -f $TORK_OUTPUT",
            "rm -f $TORK_OUTPUT; ln -s /etc/passwd $TORK_OUTPUT",
            "rm -f $TORK_OUTPUT; mkfifo $TORK_OUTPUT",
            "rm -f $TORK_OUTPUT; mkdir $TORK_OUTPUT",
        ],
        ids=["untouched", "removed", "link", "fifo", "directory"],
    )
    def test_nothing_but_a_file_is_a_result(
        self, runtime: Runtime, steps: Steps, recorder: Recorder, script: str
    ) -> None:
        ended = self.run(runtime, steps.step(script), recorder)

        assert ended.code == 0
        assert not ended.output

    def test_no_more_of_a_result_is_read_than_shows_that_it_is_too_long(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        script = "dd if=/dev/zero of=$TORK_OUTPUT bs=100000 count=1 2>/dev/null"

        ended = self.run(runtime, steps.step(script), recorder)

        assert ended.output == bytes(MAX_RESULT_BYTES + 1)

    def test_a_step_sees_its_environment(self, runtime: Runtime, steps: Steps, recorder: Recorder) -> None:
        run = steps.step('echo "$GREETING|$TORK_TASK_ID|$TORK_JOB_ID"', env={"GREETING": 'it\'s = "fine"'})

        self.run(runtime, run, recorder)

        assert recorder.printed().decode() == f'it\'s = "fine"|{run.ref.task_id}|job-1\n'

    @pytest.mark.covers("Step.files")
    def test_files_are_in_the_directory_where_the_step_starts(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        files = {"a.txt": "first ", "deep/er/b.txt": "sécond"}
        script = "cat a.txt deep/er/b.txt; echo x > new; echo y > deep/new; echo z >> a.txt"

        assert self.run(runtime, steps.step(script, files=files), recorder).code == 0
        assert recorder.printed().decode() == "first sécond"

    @pytest.mark.covers("Task.workdir")
    def test_a_step_may_choose_where_it_starts(
        self, runtime: Runtime, steps: Steps, recorder: Recorder, elsewhere: str
    ) -> None:
        run = steps.step(
            "pwd; cat a.txt sub/b.txt", workdir=elsewhere, files={"a.txt": "A", "sub/b.txt": "B"}
        )

        assert self.run(runtime, run, recorder).code == 0
        assert recorder.printed().decode() == f"{elsewhere}\nAB"

    @pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a/", "a\0b", "x" * 300])
    def test_a_file_outside_of_the_work_directory_is_refused(
        self, runtime: Runtime, steps: Steps, recorder: Recorder, name: str
    ) -> None:
        with pytest.raises(StepFailed, match="files"):
            self.run(runtime, steps.step("true", files={name: "x"}), recorder)

        assert recorder.starts == 0

    def test_progress_can_be_read_while_it_runs(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("echo 42.5 > $TORK_PROGRESS; echo ready; sleep 300")
        assert runtime.progress(run.ref) is None
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        assert runtime.progress(run.ref) == 42.5
        runtime.kill(run.ref)
        future.result(PATIENCE_S)

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
    def test_anything_but_a_percentage_is_no_progress(
        self, runtime: Runtime, steps: Steps, recorder: Recorder, script: str
    ) -> None:
        run = steps.step(script)
        self.run(runtime, run, recorder)

        assert runtime.progress(run.ref) is None

    def test_other_users_of_this_machine_cannot_look_in(
        self, runtime: Runtime, steps: Steps, recorder: Recorder, tmp_path: Path
    ) -> None:
        self.run(runtime, steps.step("true"), recorder)

        assert stat.S_IMODE((tmp_path / "work").stat().st_mode) == 0o700
