"""Steps whose connection to the engine breaks while they run."""

from pathlib import Path

import pytest

from tests.runtime.docker.containers import RuntimeFactory
from tests.runtime.docker.engine_proxy import engine_proxy
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker import DockerRuntime, engine_api
from tork_celery.runtime.protocol import AlreadyStarted, StepRun


@pytest.fixture
def run(busybox: str) -> StepRun:
    return StepFactory(busybox).step(
        "echo one; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; echo two; exit 3"
    )


def assert_can_be_followed(runtime: DockerRuntime, run: StepRun) -> None:
    """Try again as a worker does. Assert that the step still runs and that `follow` sees all its output."""
    sink = RecordingSink()
    with pytest.raises(AlreadyStarted):
        run_step(runtime, run, sink)
    (runtime._exchange.path(run.ref) / "workdir" / "go").touch()

    step_exit = runtime.follow(run.ref, sink)

    assert step_exit is not None
    assert step_exit.code == 3
    assert sink.stdout == b"one\ntwo\n"


def test_step_can_be_followed_after_the_engine_was_unreachable(
    make_runtime: RuntimeFactory, run: StepRun, tmp_path: Path
) -> None:
    sink = RecordingSink()
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        runtime = make_runtime(url=proxy.url)
        future = start_step(runtime, run, sink)
        sink.wait_for(b"one")
        proxy.close()
        with pytest.raises(EngineUnavailable):
            future.result(TIMEOUT_S)
        with pytest.raises(EngineUnavailable):
            runtime.follow(run.ref, sink)

    assert_can_be_followed(make_runtime(), run)


def test_step_can_be_followed_after_its_output_stream_broke(
    make_runtime: RuntimeFactory, run: StepRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that restarts with live-restore closes its connections, and soon answers again."""
    monkeypatch.setattr(engine_api, "_EXIT_TIMEOUT_S", 0.3)
    sink = RecordingSink()
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        runtime = make_runtime(url=proxy.url)
        future = start_step(runtime, run, sink)
        sink.wait_for(b"one")
        proxy.break_connections()
        with pytest.raises(EngineUnavailable):
            future.result(TIMEOUT_S)

        assert_can_be_followed(runtime, run)
        runtime.close()
