"""What every runtime does, whatever its kind. Each kind's test class inherits these."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.eventually import eventually
from tests.runtime.exchange_contract import ExchangeContract
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, background, start
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Detached, Runtime, Stream


class RuntimeContract(ExchangeContract):
    """Expects the fixtures `runtime`, `steps` (how to make a step for it) and `elsewhere` (the path of a
    work directory that a step may ask for)."""

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
        future = start(runtime, steps.step("sleep 300 & echo done"), recorder)

        assert future.result(PATIENCE_S).code == 0
        assert recorder.printed() == b"done\n"

    def test_a_command_needs_no_script(self, runtime: Runtime, steps: Steps, recorder: Recorder) -> None:
        self.run(runtime, steps.step(cmd=("echo", "a  b", "$HOME")), recorder)

        assert recorder.printed() == b"a  b $HOME\n"

    def test_a_command_that_does_not_exist_is_an_exit_that_says_so(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        assert self.run(runtime, steps.step(cmd=("no-such-command",)), recorder).code == 127
        assert b"no-such-command" in recorder.printed(Stream.STDERR)

    def test_stopped_at_once_it_is_killed(self, runtime: Runtime, steps: Steps, recorder: Recorder) -> None:
        run = steps.step("trap '' TERM; echo ready; sleep 300")
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        runtime.kill(run.ref)

        assert future.result(PATIENCE_S).code == 137

    def test_given_grace_it_can_end_by_itself(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        runtime.kill(run.ref, grace_s=PATIENCE_S * 10)

        assert future.result(PATIENCE_S).code == 5
        assert recorder.printed() == b"ready\nbye\n"

    def test_when_its_grace_is_over_it_is_killed(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done")
        future = start(runtime, run, recorder)
        recorder.wait_for(b"ready")

        runtime.kill(run.ref, grace_s=0.5)

        assert future.result(PATIENCE_S).code == 137
        assert recorder.printed() == b"ready\nno\n"

    def test_stopped_before_it_came_it_never_starts(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("echo never")
        runtime.kill(run.ref, grace_s=1)

        ended = self.run(runtime, run, recorder)

        assert (ended.code, ended.note) == (137, "stopped before it started")
        assert recorder.starts == 0
        assert recorder.printed() == b""

    def test_stopping_what_is_not_there_is_no_error(self, runtime: Runtime) -> None:
        runtime.kill(StepRef(task_id="nobody", delivery=1, step=0))
        runtime.kill(StepRef(task_id="nobody", delivery=1, step=0), grace_s=1)

    def test_left_alone_it_is_no_longer_waited_for(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        future = start(runtime, steps.step("echo ready; sleep 300"), recorder)
        recorder.wait_for(b"ready")

        runtime.detach()

        with pytest.raises(Detached):
            future.result(PATIENCE_S)
        with pytest.raises(Detached):
            self.run(runtime, steps.step("true"), recorder)
        with pytest.raises(Detached):
            runtime.follow(StepRef(task_id="nobody", delivery=1, step=0), recorder)

    def test_twenty_five_at_once_do_not_mix(self, runtime: Runtime, steps: Steps) -> None:
        def one(number: int) -> tuple[int, bytes, bytes | None]:
            recorder = Recorder()
            run = steps.step(f"echo {number}; echo {number} > $TORK_OUTPUT; exit {number}")
            ended = self.run(runtime, run, recorder)
            runtime.remove_step(run.ref)
            runtime.remove_delivery(run.ref.task_id, run.ref.delivery)
            return ended.code, recorder.printed(), ended.output

        with ThreadPoolExecutor(25) as threads:
            results = list(threads.map(one, range(25)))

        assert results == [(number, b"%d\n" % number, b"%d\n" % number) for number in range(25)]

    def test_what_a_delivery_left_is_known_until_it_is_released(
        self, runtime: Runtime, steps: Steps, recorder: Recorder
    ) -> None:
        run = steps.step("mkdir -p a/b; echo x > a/b/c; chmod 500 a/b a")
        self.run(runtime, run, recorder)
        [leftovers] = [each for each in runtime.leftovers() if each.task_id == run.ref.task_id]
        assert leftovers.delivery == run.ref.delivery

        runtime.remove_step(run.ref)
        runtime.remove_delivery(run.ref.task_id, run.ref.delivery)

        eventually(lambda: leftovers not in runtime.leftovers())

    def test_discarding_and_releasing_what_is_not_there_is_no_error(self, runtime: Runtime) -> None:
        runtime.remove_step(StepRef(task_id="nobody", delivery=1, step=0))
        runtime.remove_delivery("nobody", 1)

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

    def test_it_is_ready(self, runtime: Runtime) -> None:
        runtime.check()
