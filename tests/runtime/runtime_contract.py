"""The contract of a runtime, as tests that the test class of each implementation inherits."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.eventually import eventually
from tests.runtime.exchange_contract import ExchangeContract
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, in_thread, run_step, start_step
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Detached, Runtime, Stream


class RuntimeContract(ExchangeContract):
    """Tests of any runtime.

    Require the fixtures `runtime`, `steps` (a factory of steps for it) and `absolute_workdir` (the path of a
    work directory that a step may name).
    """

    def test_output_arrives_before_the_exit(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        step_exit = run_step(runtime, steps.step("echo out; echo err >&2; echo more; exit 3"), sink)

        assert step_exit.code == 3
        assert sink.stdout == b"out\nmore\n"
        assert sink.stderr == b"err\n"
        assert sink.start_count == 1

    def test_long_output_is_complete_and_in_order(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        step_exit = run_step(runtime, steps.step("seq 1 200000"), sink)

        assert step_exit.code == 0
        assert sink.stdout == b"".join(b"%d\n" % number for number in range(1, 200_001))

    def test_output_that_is_not_utf8_is_passed_unchanged(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run_step(runtime, steps.step(r"printf '\377\000\303('"), sink)

        assert sink.stdout == b"\xff\x00\xc3("

    def test_step_may_print_nothing(self, runtime: Runtime, steps: StepFactory, sink: RecordingSink) -> None:
        assert run_step(runtime, steps.step("exit 0"), sink).code == 0
        assert sink.stdout == b""

    def test_step_that_closes_its_output_runs_to_its_end(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        script = "echo seen; exec >&- 2>&-; sleep 0.5; echo late > $TORK_OUTPUT; exit 4"

        step_exit = run_step(runtime, steps.step(script), sink)

        assert (step_exit.code, step_exit.output) == (4, b"late\n")
        assert sink.stdout == b"seen\n"

    def test_background_process_does_not_delay_the_exit(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        future = start_step(runtime, steps.step("sleep 300 & echo done"), sink)

        assert future.result(TIMEOUT_S).code == 0
        assert sink.stdout == b"done\n"

    def test_command_runs_without_a_script(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run_step(runtime, steps.step(cmd=("echo", "a  b", "$HOME")), sink)

        assert sink.stdout == b"a  b $HOME\n"

    def test_missing_command_exits_with_127(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        assert run_step(runtime, steps.step(cmd=("no-such-command",)), sink).code == 127
        assert b"no-such-command" in sink.stderr

    def test_kill_without_grace_sends_kill_at_once(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("trap '' TERM; echo ready; sleep 300")
        future = start_step(runtime, run, sink)
        sink.wait_for(b"ready")

        runtime.kill(run.ref)

        assert future.result(TIMEOUT_S).code == 137

    def test_kill_with_grace_lets_the_step_handle_term(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
        future = start_step(runtime, run, sink)
        sink.wait_for(b"ready")

        runtime.kill(run.ref, grace_s=TIMEOUT_S * 10)

        assert future.result(TIMEOUT_S).code == 5
        assert sink.stdout == b"ready\nbye\n"

    def test_step_that_ignores_term_is_killed_after_the_grace_period(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("trap 'echo no' TERM; echo ready; while :; do sleep 0.05; done")
        future = start_step(runtime, run, sink)
        sink.wait_for(b"ready")

        runtime.kill(run.ref, grace_s=0.5)

        assert future.result(TIMEOUT_S).code == 137
        assert sink.stdout == b"ready\nno\n"

    def test_step_killed_before_run_never_starts(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("echo never")
        runtime.kill(run.ref, grace_s=1)

        step_exit = run_step(runtime, run, sink)

        assert (step_exit.code, step_exit.note) == (137, "stopped before it started")
        assert sink.start_count == 0
        assert sink.stdout == b""

    def test_kill_of_an_unknown_step_is_no_error(self, runtime: Runtime) -> None:
        runtime.kill(StepRef(task_id="unknown", delivery=1, step=0))
        runtime.kill(StepRef(task_id="unknown", delivery=1, step=0), grace_s=1)

    def test_detach_ends_run_and_follow(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        future = start_step(runtime, steps.step("echo ready; sleep 300"), sink)
        sink.wait_for(b"ready")

        runtime.detach()

        with pytest.raises(Detached):
            future.result(TIMEOUT_S)
        with pytest.raises(Detached):
            run_step(runtime, steps.step("true"), sink)
        with pytest.raises(Detached):
            runtime.follow(StepRef(task_id="unknown", delivery=1, step=0), sink)

    def test_results_and_output_of_25_concurrent_steps_are_kept_apart(
        self, runtime: Runtime, steps: StepFactory
    ) -> None:
        def run_one(number: int) -> tuple[int, bytes, bytes | None]:
            sink = RecordingSink()
            run = steps.step(f"echo {number}; echo {number} > $TORK_OUTPUT; exit {number}")
            step_exit = run_step(runtime, run, sink)
            runtime.remove_step(run.ref)
            runtime.remove_delivery(run.ref.task_id, run.ref.delivery)
            return step_exit.code, sink.stdout, step_exit.output

        with ThreadPoolExecutor(25) as threads:
            results = list(threads.map(run_one, range(25)))

        assert results == [(number, b"%d\n" % number, b"%d\n" % number) for number in range(25)]

    def test_leftovers_of_a_delivery_are_listed_until_it_is_removed(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        run = steps.step("mkdir -p a/b; echo x > a/b/c; chmod 500 a/b a")
        run_step(runtime, run, sink)
        [leftovers] = [each for each in runtime.leftovers() if each.task_id == run.ref.task_id]
        assert leftovers.delivery == run.ref.delivery

        runtime.remove_step(run.ref)
        runtime.remove_delivery(run.ref.task_id, run.ref.delivery)

        eventually(lambda: leftovers not in runtime.leftovers())

    def test_removal_of_unknown_steps_and_deliveries_is_no_error(self, runtime: Runtime) -> None:
        runtime.remove_step(StepRef(task_id="unknown", delivery=1, step=0))
        runtime.remove_delivery("unknown", 1)

    def test_follow_of_an_unknown_step_returns_none(self, runtime: Runtime, sink: RecordingSink) -> None:
        assert runtime.follow(StepRef(task_id="unknown", delivery=1, step=0), sink) is None

    def test_error_of_the_sink_propagates(self, runtime: Runtime, steps: StepFactory) -> None:
        def full_disk(_stream: Stream, _data: bytes) -> None:
            raise OSError(28, "the disk is full")

        with pytest.raises(OSError, match="the disk is full"):
            in_thread(
                lambda: runtime.run(steps.step("echo x; sleep 300"), full_disk, started=lambda: None)
            ).result(TIMEOUT_S)

    def test_check_passes(self, runtime: Runtime) -> None:
        runtime.check()
