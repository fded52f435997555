"""The tries of a pull, with an engine that answers what a test wants."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from tests.eventually import eventually
from tests.runtime.steps import TIMEOUT_S, RecordingSink, in_thread
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.definition import StepDefinition
from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.engine_images import EngineImages, PullFailed
from tork_celery.runtime.docker.image_pulls import ImagePulls
from tork_celery.runtime.protocol import StepRun
from tork_celery.runtime.running_steps import RunningStep


class FakeImages:
    """An engine whose pulls send these chunks, or fail. The last of `pulls` repeats."""

    def __init__(self, *pulls: list[bytes] | Exception) -> None:
        self._pulls = list(pulls)
        self._chunks: list[bytes] = []
        self.pulled = 0

    def pull(self, _image: str, _credentials: None, *, timeout_s: float) -> "FakeImages":  # noqa: ARG002
        self.pulled += 1
        result = self._pulls.pop(0) if len(self._pulls) > 1 else self._pulls[0]
        if isinstance(result, Exception):
            raise result
        self._chunks = result
        return self

    def chunks(self) -> Iterator[bytes]:
        yield from self._chunks

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


RUN = StepRun(
    ref=StepRef(task_id="t", delivery=1, step=0), job_id="j", definition=StepDefinition(image="some:image")
)


@pytest.fixture
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "delay_s", lambda *_: 0.0)


def pull(images: FakeImages, *, timeout_s: float = TIMEOUT_S) -> list[str]:
    """Pull an image and return the notes."""
    sink = RecordingSink()
    pulls = ImagePulls(cast("EngineImages", images), timeout_s=timeout_s)
    try:
        pulls.pull(RUN, RunningStep(), sink)
    finally:
        eventually(lambda: not pulls._pulls)
    return sink.notes.splitlines()


def test_progress_notes_only_changes_of_a_layers_state() -> None:
    chunks = [
        b'{"status":"Pulling from some","id":"image"}\r\n{"status":"Pulling fs layer","progressDetail":{},"i',
        b'd":"aa"}\r\n',
        *(b'{"status":"Downloading","progressDetail":{"current":%d},"id":"aa"}\r\n' % n for n in range(99)),
        b'{"status":"Pull complete","progressDetail":{},"id":"aa"}\r\n{"status":"Status: Downloaded"}\r\n',
    ]

    assert pull(FakeImages(chunks)) == [
        "pulling image some:image",
        "image: Pulling from some",
        "aa: Pulling fs layer",
        "aa: Downloading",
        "aa: Pull complete",
        "Status: Downloaded",
    ]


def test_error_within_the_progress_fails_the_pull() -> None:
    images = FakeImages([b'{"status":"Pulling"}\r\n', b'{"error":"unauthorized: no","errorDetail":{}}\r\n'])

    with pytest.raises(StepFailed, match='image "some:image" could not be pulled: unauthorized: no'):
        pull(images)

    assert images.pulled == 1


def test_code_within_the_progress_decides() -> None:
    progress = b'{"error":"EOF","errorDetail":{"code":404,"message":"EOF"}}\r\n'

    with pytest.raises(StepFailed, match="could not be pulled: EOF"):
        pull(FakeImages([progress]))


@pytest.mark.usefixtures("no_delays")
@pytest.mark.parametrize(
    ("message", "tries"), [("odd", 2), ("write /var/lib/docker: no space left on device", 3)]
)
def test_other_faults_of_a_pull_are_tried_again_briefly(message: str, tries: int) -> None:
    images = FakeImages(PullFailed(message, status=500))

    with pytest.raises(StepFailed, match=f"could not be pulled: {message}"):
        pull(images)

    assert images.pulled == tries


@pytest.mark.usefixtures("no_delays")
def test_pull_that_succeeds_at_last_notes_each_reason_once() -> None:
    def refused(port: int) -> PullFailed:
        return PullFailed(f"read tcp 10.0.0.1:{port}->10.0.0.2:443: i/o timeout", status=500)

    images = FakeImages(
        refused(1), refused(2), refused(33), PullFailed("EOF", status=500), [b'{"status":"done"}\n']
    )

    read, eof, *rest = pull(images)[1:]
    assert read == (
        "the image could not be pulled: read tcp 10.0.0.1:1->10.0.0.2:443: i/o timeout; "
        "trying again, for 30 s in all"
    )
    assert eof == "the image could not be pulled: EOF; trying again, for 30 s in all"
    assert rest == ["done"]


def test_step_that_joins_a_failing_pull_is_told_why_it_waits() -> None:
    pulls = ImagePulls(cast("EngineImages", FakeImages(PullFailed("EOF", status=500))), timeout_s=TIMEOUT_S)
    first, second, steps = RecordingSink(), RecordingSink(), (RunningStep(), RunningStep())
    futures = [in_thread(lambda: pulls.pull(RUN, steps[0], first))]
    eventually(lambda: "EOF; trying again" in first.notes)

    futures.append(in_thread(lambda: pulls.pull(RUN, steps[1], second)))

    eventually(lambda: "EOF; trying again" in second.notes)
    for step in steps:
        step.kill(0.0)
    for future in futures:
        future.result(TIMEOUT_S)
    pulls.close()
    eventually(lambda: not pulls._pulls)


@pytest.mark.usefixtures("no_delays")
def test_pull_is_not_tried_again_for_steps_that_were_killed() -> None:
    step = RunningStep()

    class KillingImages(FakeImages):
        def pull(self, image: str, credentials: None, *, timeout_s: float) -> FakeImages:
            step.kill(0.0)
            return super().pull(image, credentials, timeout_s=timeout_s)

    images = KillingImages(PullFailed("EOF", status=500))
    pulls = ImagePulls(cast("EngineImages", images), timeout_s=TIMEOUT_S)

    pulls.pull(RUN, step, RecordingSink())

    eventually(lambda: not pulls._pulls)


@pytest.mark.parametrize("line", [b"<html>\n", b'["a"]\n'])
@pytest.mark.usefixtures("no_delays")
def test_progress_that_cannot_be_read_fails_the_pull(line: bytes) -> None:
    with pytest.raises(StepFailed, match="answer cannot be read"):
        pull(FakeImages([line]))


def test_bug_does_not_leave_steps_waiting() -> None:
    with pytest.raises(EngineFailed, match="a bug"):
        pull(FakeImages(RecursionError("a bug")))


def test_progress_counts_the_layers_that_are_ready() -> None:
    told: list[str | None] = []
    chunks = [
        b'{"status":"Pulling from some","id":"image"}\n{"status":"Pulling fs layer","id":"aa"}\n',
        b'{"status":"Already exists","id":"bb"}\n{"status":"Pull complete","id":"aa"}\n',
    ]
    pulls = ImagePulls(cast("EngineImages", FakeImages(chunks)), timeout_s=TIMEOUT_S)

    pulls.pull(replace(RUN, pulling=told.append), RunningStep(), RecordingSink())

    assert list(dict.fromkeys(told)) == [
        "image some:image",
        "image some:image: 0 of 1 layers are ready",
        "image some:image: 1 of 2 layers are ready",
        "image some:image: 2 of 2 layers are ready",
        None,
    ]
    eventually(lambda: not pulls._pulls)
