"""Measure masking: `python -m bench.masking [--megabytes 8]`.

Prints MB/s of a step's output for several sets of values and kinds of text, the best of some runs, beside a
floor: the same bytes only decoded and encoded. `whole output` is the way of log lines from the container to
the parts of the log, in one thread. The last lines are the cost of a page of jobs with large secrets. All
times are CPU time of the thread, so that they depend less on what else the machine does.
"""

import argparse
import random
import string
import time
from collections.abc import Callable, Iterator

from tests.domain.samples import job_definition
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.masking import MaskedValues, Masker, StreamMask, conceal
from tork_celery.domain.model import Job
from tork_celery.domain.serializers import job_summary
from tork_celery.domain.states import JobState
from tork_celery.runtime.protocol import Stream
from tork_celery.worker.step_output import StepOutput

RUNS = 5
PIECE_BYTES = 32 * 1024
PAGE_SIZE = 20
_LETTERS = string.ascii_letters + string.digits + "+/"
_random = random.Random(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=8, help="size of each text")
    options = parser.parse_args()
    texts = {name: text(line, options.megabytes * 1_000_000) for name, line in LINES.items()}
    print(
        f"{'MB/s':24}" + "".join(f"{name:>14}" for name in texts) + f"{'whole output':>16}{'prepared in':>14}"
    )
    print_rates("floor: decode and copy", texts, lambda data: data.decode("utf-8", "replace").encode())
    for name, values in VALUES.items():
        start = time.thread_time()
        masker = MaskedValues(values).masker()
        prepared_ms = 1000 * (time.thread_time() - start)
        print_masking(name, texts, masker, prepared_ms)
    for name, values_of_jobs in LARGE_VALUES.items():
        print_page(name, values_of_jobs)


def letters(count: int) -> str:
    return "".join(_random.choices(_LETTERS, k=count))


CERTIFICATE = "\n".join(
    ("-----BEGIN CERTIFICATE-----", *(letters(64) for _ in range(2000)), "-----END CERTIFICATE-----")
)
LINES: dict[str, Callable[[int], str]] = {
    "log lines": lambda number: f"2026-11-25 12:00:00 INFO request {number} served in {number % 97} ms",
    "base64": lambda _: letters(76),
    "the certificate": lambda number: CERTIFICATE.splitlines()[number % 2002],
}
"""Kinds of text: functions that return the line with a number."""
VALUES = {
    "no values": [],
    "100 values": [letters(32) for _ in range(100)],
    "1,000 values": [letters(32) for _ in range(1000)],
    "certificate of 130 KB": [CERTIFICATE],
}
LARGE_VALUES = {
    "1,000 values of 1 KiB": [[letters(1024) for _ in range(1000)] for _ in range(PAGE_SIZE)],
    "1 MiB of lines": [["\n".join(letters(64) for _ in range(16_000))] for _ in range(PAGE_SIZE)],
}


def text(line: Callable[[int], str], size: int) -> bytes:
    """Return lines of a kind; the same 1 MB is repeated."""
    one = "".join(f"{line(number)}\n" for number in range(1_000_000 // 60)).encode()
    return (one * (size // len(one) + 1))[:size]


def print_rates(name: str, texts: dict[str, bytes], feed: Callable[[bytes], object]) -> None:
    rates = (rate(data, lambda: feed) for data in texts.values())
    print(f"{name:24}" + "".join(f"{each:14.0f}" for each in rates), flush=True)


def print_masking(name: str, texts: dict[str, bytes], masker: Masker, prepared_ms: float) -> None:
    def new_stream() -> Callable[[bytes], object]:
        mask = StreamMask(masker)
        return lambda data: mask.feed(data.decode("utf-8", "replace"))

    def new_output() -> Callable[[bytes], object]:
        output = StepOutput(task_id="t", step=0, stored=LogPosition(), limit_bytes=2**40, masker=masker)

        def feed(data: bytes) -> None:
            output(Stream.STDOUT, data)
            if output.full:
                with output.storing() as batch:
                    batch.mark_stored()

        return feed

    rates = "".join(f"{rate(data, new_stream):14.0f}" for data in texts.values())
    whole = rate(texts["log lines"], new_output)
    print(f"{name:24}{rates}{whole:16.0f}{prepared_ms:11.0f} ms", flush=True)


def rate(data: bytes, new_feed: Callable[[], Callable[[bytes], object]]) -> float:
    """Return the most MB/s of some runs."""
    best_s = min(run_s(data, new_feed()) for _ in range(RUNS))
    return len(data) / 1_000_000 / best_s


def run_s(data: bytes, feed: Callable[[bytes], object]) -> float:
    start = time.thread_time()
    for piece in pieces(data):
        feed(piece)
    return time.thread_time() - start


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))


def print_page(name: str, values_of_jobs: list[list[str]]) -> None:
    """Print the time for the summaries of jobs that each have other values, the first time and again."""
    jobs = [job(values) for values in values_of_jobs]
    times_ms = []
    for _ in range(2):
        start = time.thread_time()
        for each in jobs:
            job_summary(each)
        times_ms.append(1000 * (time.thread_time() - start))
    first, again = times_ms
    print(f"page of {len(jobs)} jobs, each with {name}: {first:.0f} ms, again {again:.0f} ms")


def job(values: list[str]) -> Job:
    definition = job_definition(
        secrets={f"k{number}": value for number, value in enumerate(values)},
        inputs={"month": "2026-11", "environment": "production"},
    )
    return Job(
        id="0" * 32,
        definition=conceal(definition),
        state=JobState.COMPLETED,
        created_at=0.0,
        result="done: 42 files converted",
    )


if __name__ == "__main__":
    main()
