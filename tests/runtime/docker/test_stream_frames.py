import pytest

from tork_celery.runtime.docker.stream_frames import FrameReader
from tork_celery.runtime.protocol import Stream


def frame(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


FRAMES = frame(1, b"one\n") + frame(2, b"two\n") + frame(1, b"") + frame(1, b"three\n") + frame(1, b"four\n")


@pytest.mark.parametrize("size", range(1, len(FRAMES) + 1))
def test_frames_may_be_split_anywhere(size: int) -> None:
    reader = FrameReader()

    pieces = [FRAMES[start : start + size] for start in range(0, len(FRAMES), size)]
    read = [payload for piece in pieces for payload in reader.feed(piece)]

    assert b"".join(data for stream, data in read if stream is Stream.STDOUT) == b"one\nthree\nfour\n"
    assert b"".join(data for stream, data in read if stream is Stream.STDERR) == b"two\n"
    assert all(data for _, data in read)


def test_adjacent_payloads_of_one_stream_are_joined() -> None:
    assert list(FrameReader().feed(FRAMES)) == [
        (Stream.STDOUT, b"one\n"),
        (Stream.STDERR, b"two\n"),
        (Stream.STDOUT, b"three\nfour\n"),
    ]


def test_incomplete_payload_is_returned_at_once() -> None:
    reader = FrameReader()
    frames = frame(1, b"x" * 1000)

    assert list(reader.feed(frames[:100])) == [(Stream.STDOUT, b"x" * 92)]
    assert list(reader.feed(frames[100:])) == [(Stream.STDOUT, b"x" * 908)]


def test_unknown_stream_is_a_note() -> None:
    assert list(FrameReader().feed(frame(3, b"cannot read the log"))) == [
        (Stream.NOTE, b"cannot read the log")
    ]
