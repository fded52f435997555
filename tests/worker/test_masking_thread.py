"""The output of a step is masked beside the thread that drains its container."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.eventually import eventually
from tests.worker.outputs import stored_text
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.masking import REDACTED, MaskedValues
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Detached, Stream
from tork_celery.worker.active_steps import ActiveStep, StopReason
from tork_celery.worker.masking_thread import QUEUE_BYTES, MaskingThread
from tork_celery.worker.step_output import FULL_CHARACTERS, StepOutput

OUT, ERR = Stream.STDOUT, Stream.STDERR
VALUE = "hunter2-secret"
PIECE = b"x" * (64 * 1024 - 1) + b"\n"
PIECES = 2 * QUEUE_BYTES // len(PIECE) + 4
"""More than the queue and the thread hold."""


class SlowOutput(StepOutput):
    """An output that masks nothing before `may_mask` is set."""

    def __init__(self, *values: str) -> None:
        super().__init__(
            task_id="t",
            step=0,
            stored=LogPosition(),
            limit_bytes=100_000_000,
            masker=MaskedValues(values).masker(),
        )
        self.may_mask = threading.Event()

    def __call__(self, stream: Stream, data: bytes, /, *, arrived_s: float | None = None) -> None:
        self.may_mask.wait()
        super().__call__(stream, data, arrived_s=arrived_s)


class Room:
    """Where output is stored: nowhere while `away`. It takes each batch that there is."""

    def __init__(self) -> None:
        self.away = False
        self.refusals = 0
        self.texts: list[str] = []

    def ship(self, steps: Sequence[ActiveStep]) -> bool:
        if self.away:
            self.refusals += 1
            return False
        for step in steps:
            self.texts.append(stored_text(step.output))
        return True


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def output() -> Iterator[SlowOutput]:
    output = SlowOutput(VALUE)
    yield output
    output.may_mask.set()  # a failed test leaves no thread


@pytest.fixture
def step(output: SlowOutput) -> ActiveStep:
    return ActiveStep(ref=StepRef(task_id="t", delivery=1, step=0), job_id="j", output=output)


@pytest.fixture
def thread(step: ActiveStep, room: Room, stopping: threading.Event) -> MaskingThread:
    return MaskingThread(step, ship=room.ship, stopping=stopping)


@pytest.mark.parametrize("cut", range(len(VALUE) + 1))
def test_value_that_is_split_across_writes_is_masked(
    cut: int, thread: MaskingThread, output: SlowOutput
) -> None:
    output.may_mask.set()
    with thread as sink:
        sink(OUT, f"a {VALUE[:cut]}".encode())
        sink(ERR, b"between\n")
        sink(OUT, f"{VALUE[cut:]} b\n".encode())

    assert VALUE not in stored_text(output)
    assert output.last_lines().replace("between\n", "") == f"a {REDACTED} b"


def test_output_keeps_its_order(thread: MaskingThread, output: SlowOutput) -> None:
    output.may_mask.set()
    lines = [f"{number}\n" for number in range(5000)]
    with thread as sink:
        for number, line in enumerate(lines):
            sink(ERR if number % 3 else OUT, line.encode())

    assert stored_text(output) == "".join(lines)


def test_draining_does_not_wait_for_masking(thread: MaskingThread, output: SlowOutput) -> None:
    with thread as sink:
        for _ in range(QUEUE_BYTES // len(PIECE)):
            sink(OUT, PIECE)
        assert not output.may_mask.is_set()
        output.may_mask.set()

    assert stored_text(output) == PIECE.decode() * (QUEUE_BYTES // len(PIECE))


def test_other_threads_do_not_wait_for_masking(thread: MaskingThread, output: SlowOutput) -> None:
    """A batch is stored, and a note written, while a piece is masked."""
    with thread as sink:
        sink(OUT, PIECE)
        assert stored_text(output) == ""
        assert not output.full
        output.may_mask.set()


def fill(sink: MaskingThread) -> threading.Thread:
    """Print more than the queue takes, in a thread that waits for room."""

    def print_pieces() -> None:
        for _ in range(PIECES):
            sink(OUT, PIECE)

    printing = threading.Thread(target=print_pieces)
    printing.start()
    return printing


def test_container_waits_while_the_queue_is_full(
    thread: MaskingThread, output: SlowOutput, room: Room
) -> None:
    with thread as sink:
        printing = fill(sink)
        eventually(lambda: sink._queued_bytes > QUEUE_BYTES)
        assert printing.is_alive()
        output.may_mask.set()
        printing.join()

    assert "".join(room.texts) + stored_text(output) == PIECE.decode() * PIECES


def test_stopped_step_does_not_wait_for_masking(
    thread: MaskingThread, output: SlowOutput, step: ActiveStep
) -> None:
    with thread as sink:
        printing = fill(sink)
        eventually(lambda: sink._queued_bytes > QUEUE_BYTES)
        step.stop_reason = StopReason.CANCELLED
        printing.join()
        output.may_mask.set()

    assert stored_text(output).endswith("when the step was stopped\n")


def test_stop_of_the_worker_ends_the_wait(
    thread: MaskingThread, output: SlowOutput, stopping: threading.Event
) -> None:
    with thread as sink:
        printing = fill(sink)
        eventually(lambda: sink._queued_bytes > QUEUE_BYTES)
        stopping.set()
        printing.join()
        output.may_mask.set()


def test_detached_step_leaves_its_output_to_the_next_process(
    thread: MaskingThread, output: SlowOutput
) -> None:
    def mask_when_closing() -> None:
        eventually(lambda: thread._closing)
        output.may_mask.set()

    def run() -> None:
        with thread as sink:
            sink(OUT, b"masked already\n")
            eventually(lambda: not sink._queued_bytes)
            sink(OUT, b"dropped\n")
            threading.Thread(target=mask_when_closing).start()
            raise Detached

    with pytest.raises(Detached):
        run()

    assert stored_text(output) == "masked already\n"


def test_full_buffer_waits_for_the_datastore(thread: MaskingThread, output: SlowOutput, room: Room) -> None:
    output.may_mask.set()
    room.away = True
    with thread as sink:
        sink(OUT, b"x\n" * FULL_CHARACTERS)
        eventually(lambda: room.refusals > 1)
        room.away = False
        eventually(lambda: room.texts)

    assert "".join(room.texts) + stored_text(output) == "x\n" * FULL_CHARACTERS


@pytest.mark.parametrize("ends", ["stop of the step", "end of the step"])
def test_end_does_not_wait_for_the_datastore(
    ends: str, thread: MaskingThread, output: SlowOutput, step: ActiveStep, room: Room
) -> None:
    output.may_mask.set()
    room.away = True
    with thread as sink:
        sink(OUT, b"x\n" * FULL_CHARACTERS)
        sink(OUT, b"last\n")
        eventually(lambda: room.refusals)
        if ends == "stop of the step":
            step.stop_reason = StopReason.SUPERSEDED

    assert output.last_lines().endswith("last")


def test_bug_is_raised_in_the_thread_of_the_step(step: ActiveStep, output: SlowOutput) -> None:
    def broken(_steps: Sequence[ActiveStep]) -> bool:
        raise KeyError("a bug")

    output.may_mask.set()
    thread = MaskingThread(step, ship=broken, stopping=threading.Event())

    def run() -> None:
        with thread as sink:
            sink(OUT, b"x\n" * FULL_CHARACTERS)
            eventually(lambda: sink._bug)

    with pytest.raises(KeyError, match="a bug"):
        run()
