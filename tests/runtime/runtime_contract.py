"""What every runtime does, whatever its kind. Each kind's test class inherits these."""

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from steps_at_work import PATIENCE_S, Recorder, Steps, background, start, until

from tork_celery.domain.errors import StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Left, Runtime, StepExit, StepRun, Stream


class RuntimeContract:
    """Expects the fixtures `runtime`, `steps` (how to make a step for it) and `elsewhere` (the path of a
    work directory that a step may ask for)."""

    @pytest.fixture
    def recorder(self) -> Recorder:
        return Recorder()

    @staticmethod
    def run(runtime: Runtime, run: StepRun, recorder: Recorder) -> StepExit:
        return runtime.run(run, recorder, started=recorder.started)

    def test_what_a_step_prints_arrives_before_its_exit(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        ended = self.run(runtime, steps.step("echo out; echo err >&2; echo more; exit 3"), recorder)

        assert ended.code == 3
        assert recorder.printed() == b"out\nmore\n"
        assert recorder.printed(Stream.STDERR) == b"err\n"
        assert recorder.starts == 1

    def test_a_long_output_is_complete_and_in_order(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        ended = self.run(runtime, steps.step("seq 1 200000"), recorder)

        assert ended.code == 0
        assert recorder.printed() == b"".join(b"%d\n" % number for number in range(1, 200_001))

    def test_output_that_is_not_utf8_is_passed_on_as_it_is(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        self.run(runtime, steps.step(r"printf '\377\000\303('"), recorder)

        assert recorder.printed() == b"\xff\x00\xc3("

    def test_a_step_may_print_nothing(self, runtime: Runtime, steps: Steps, recorder: Recorder) -> None:
        assert self.run(runtime, steps.step("exit 0"), recorder).code == 0
        assert recorder.printed() == b""

    def test_a_step_that_closes_its_output_runs_on_to_its_end(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        script = "echo seen; exec >&- 2>&-; sleep 0.5; echo late > $TORK_OUTPUT; exit 4"

        ended = self.run(runtime, steps.step(script), recorder)

        assert (ended.code, ended.output) == (4, b"late\n")
        assert recorder.printed() == b"seen\n"

    def test_a_background_process_does_not_hold_up_the_end(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        began = time.monotonic()

        assert self.run(runtime, steps.step("sleep 300 & echo done"), recorder).code == 0
        assert recorder.printed() == b"done\n"
        assert time.monotonic() - began < PATIENCE_S

    def test_a_command_needs_no_script(self, runtime: Runtime, steps: Steps, recorder: Recorder) -> None:
        self.run(runtime, steps.step(cmd=("echo", "a  b", "$HOME")), recorder)

        assert recorder.printed() == b"a  b $HOME\n"

    def test_a_command_that_does_not_exist_is_an_exit_that_says_so(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        assert self.run(runtime, steps.step(cmd=("no-such-command",)), recorder).code == 127
        assert b"no-such-command" in recorder.printed(Stream.STDERR)

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

    def test_files_are_in_the_directory_where_the_step_starts(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        files = {"a.txt": "first ", "deep/er/b.txt": "sécond"}
        script = "cat a.txt deep/er/b.txt; echo x > new; echo y > deep/new; echo z >> a.txt"

        assert self.run(runtime, steps.step(script, files=files), recorder).code == 0
        assert recorder.printed().decode() == "first sécond"

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

    def test_stopped_at_once_it_is_killed(self, runtime: Runtime, steps: Steps, recorder: Recorder) -> None:
        run = steps.step("trap '' TERM; echo ready; sleep 300")
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        runtime.stop(run.ref)

        assert future.result(PATIENCE_S).code == 137

    def test_given_grace_it_can_end_by_itself(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        runtime.stop(run.ref, grace_s=PATIENCE_S * 10)

        assert future.result(PATIENCE_S).code == 5
        assert recorder.printed() == b"ready\nbye\n"

    def test_when_its_grace_is_over_it_is_killed(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done")
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        runtime.stop(run.ref, grace_s=0.5)

        assert future.result(PATIENCE_S).code == 137
        assert recorder.printed() == b"ready\nno\n"

    def test_stopped_before_it_came_it_never_starts(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("echo never")
        runtime.stop(run.ref, grace_s=1)

        ended = self.run(runtime, run, recorder)

        assert (ended.code, ended.note) == (137, "stopped before it started")
        assert recorder.starts == 0
        assert recorder.printed() == b""

    def test_stopping_what_is_not_there_is_no_error(self, runtime: Runtime) -> None:
        runtime.stop(StepRef(task_id="nobody", delivery=1, step=0))
        runtime.stop(StepRef(task_id="nobody", delivery=1, step=0), grace_s=1)

    def test_left_alone_it_is_no_longer_waited_for(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        future = start(runtime, steps.step("echo ready; sleep 300"), recorder)
        recorder.wait_for(b"ready")

        began = time.monotonic()
        runtime.leave()

        with pytest.raises(Left):
            future.result(PATIENCE_S)
        assert time.monotonic() - began < 1
        with pytest.raises(Left):
            self.run(runtime, steps.step("true"), recorder)
        with pytest.raises(Left):
            runtime.follow(StepRef(task_id="nobody", delivery=1, step=0), recorder)

    def test_progress_can_be_read_while_it_runs(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("echo 42.5 > $TORK_PROGRESS; echo ready; sleep 300")
        assert runtime.progress(run.ref) is None
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        assert runtime.progress(run.ref) == 42.5
        runtime.stop(run.ref)
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

    def test_twenty_five_at_once_do_not_mix(self, runtime: Runtime, steps: Steps) -> None:
        def one(number: int) -> tuple[int, bytes, bytes | None]:
            recorder = Recorder()
            run = steps.step(f"echo {number}; echo {number} > $TORK_OUTPUT; exit {number}")
            ended = self.run(runtime, run, recorder)
            runtime.discard(run.ref)
            runtime.release(run.ref.task_id, run.ref.delivery)
            return ended.code, recorder.printed(), ended.output

        with ThreadPoolExecutor(25) as threads:
            results = list(threads.map(one, range(25)))

        assert results == [(number, b"%d\n" % number, b"%d\n" % number) for number in range(25)]

    def test_what_a_delivery_left_is_known_until_it_is_released(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("mkdir -p a/b; echo x > a/b/c; chmod 500 a/b a")
        delivery = (run.ref.task_id, run.ref.delivery)
        self.run(runtime, run, recorder)
        assert delivery in runtime.deliveries()

        runtime.discard(run.ref)
        runtime.release(*delivery)

        until(lambda: delivery not in runtime.deliveries())

    def test_discarding_and_releasing_what_is_not_there_is_no_error(self, runtime: Runtime) -> None:
        runtime.discard(StepRef(task_id="nobody", delivery=1, step=0))
        runtime.release("nobody", 1)

    def test_there_is_nothing_to_follow_of_a_step_that_never_ran(
        self, runtime: Runtime, recorder: Recorder
    ) -> None:
        assert runtime.follow(StepRef(task_id="nobody", delivery=1, step=0), recorder) is None

    def test_an_error_of_the_sink_reaches_the_caller(self, runtime: Runtime, steps: Steps) -> None:
        def full(_stream: Stream, _data: bytes) -> None:
            raise OSError(28, "the disk is full")

        with pytest.raises(OSError, match="the disk is full"):
            background(
                lambda: runtime.run(steps.step("echo x; sleep 300"), full, started=lambda: None)
            ).result(PATIENCE_S)

    def test_other_users_of_this_machine_cannot_look_in(
        self, runtime: Runtime, steps: Steps, recorder: Recorder, tmp_path: Path
    ) -> None:
        self.run(runtime, steps.step("true"), recorder)

        assert stat.S_IMODE((tmp_path / "work").stat().st_mode) == 0o700

    def test_it_is_ready(self, runtime: Runtime) -> None:
        runtime.check()
