"""What becomes of a step when the way to its engine breaks while it runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.docker.cuttable import way_to_the_engine
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, start
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker import DockerRuntime, engine_api
from tork_celery.runtime.protocol import AlreadyRun, StepRun

pytestmark = pytest.mark.engine

Another = Callable[..., DockerRuntime]


@pytest.fixture
def run(busybox: str) -> StepRun:
    return Steps(busybox).step(
        "echo one; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; echo two; exit 3"
    )


def assert_it_goes_on(runtime: DockerRuntime, run: StepRun) -> None:
    """As for a worker that tries again: the step is there, and its whole output can be had."""
    recorder = Recorder()
    with pytest.raises(AlreadyRun):
        runtime.run(run, recorder, started=recorder.started)
    (runtime._exchange.path(run.ref) / "workdir" / "go").touch()

    ended = runtime.follow(run.ref, recorder)

    assert ended is not None
    assert ended.code == 3
    assert recorder.printed() == b"one\ntwo\n"


def test_an_engine_that_went_away_is_not_the_steps_end(
    another: Another, run: StepRun, tmp_path: Path
) -> None:
    recorder = Recorder()
    with way_to_the_engine(tmp_path / "engine.sock") as way:
        runtime = another(url=way.url)
        future = start(runtime, run, recorder)
        recorder.wait_for(b"one")
        way.close()
        with pytest.raises(EngineUnavailable):
            future.result(PATIENCE_S)
        with pytest.raises(EngineUnavailable):
            runtime.follow(run.ref, recorder)

    assert_it_goes_on(another(), run)


def test_output_that_breaks_off_is_not_the_steps_end(
    another: Another, run: StepRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that restarts without its containers lets the connection go, and is soon there again."""
    monkeypatch.setattr(engine_api, "_EXIT_TIMEOUT_S", 0.3)
    recorder = Recorder()
    with way_to_the_engine(tmp_path / "engine.sock") as way:
        runtime = another(url=way.url)
        future = start(runtime, run, recorder)
        recorder.wait_for(b"one")
        way.cut()
        with pytest.raises(EngineUnavailable):
            future.result(PATIENCE_S)

        assert_it_goes_on(runtime, run)
        runtime.close()
