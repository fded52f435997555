import pytest

from tork_celery.runtime.docker.stream_frames import FrameReader
from tork_celery.runtime.protocol import Stream


def frame(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


WIRE = frame(1, b"one\n") + frame(2, b"two\n") + frame(1, b"") + frame(1, b"three\n") + frame(1, b"four\n")


@pytest.mark.parametrize("size", range(1, len(WIRE) + 1))
def test_wherever_the_bytes_are_cut_the_streams_are_the_same(size: int) -> None:
    reader = FrameReader()

    read = [part for start in range(0, len(WIRE), size) for part in reader.feed(WIRE[start : start + size])]

    assert b"".join(data for stream, data in read if stream is Stream.STDOUT) == b"one\nthree\nfour\n"
    assert b"".join(data for stream, data in read if stream is Stream.STDERR) == b"two\n"
    assert all(data for _, data in read)


def test_small_frames_of_one_stream_arrive_as_one() -> None:
    assert list(FrameReader().feed(WIRE)) == [
        (Stream.STDOUT, b"one\n"),
        (Stream.STDERR, b"two\n"),
        (Stream.STDOUT, b"three\nfour\n"),
    ]


def test_a_large_frame_is_not_waited_for() -> None:
    reader = FrameReader()
    wire = frame(1, b"x" * 1000)

    assert list(reader.feed(wire[:100])) == [(Stream.STDOUT, b"x" * 92)]
    assert list(reader.feed(wire[100:])) == [(Stream.STDOUT, b"x" * 908)]


def test_what_the_engine_itself_says_is_a_note() -> None:
    assert list(FrameReader().feed(frame(3, b"cannot read the log"))) == [
        (Stream.NOTE, b"cannot read the log")
    ]
