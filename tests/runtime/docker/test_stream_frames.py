import itertools

import pytest

from tork_celery.runtime.docker.stream_frames import FrameReader, LogReader
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


# Frames of the engine's log file


ENGINE_CHUNK_BYTES = 16 * 1024


def logged(text: bytes) -> bytes:
    """Return the engine's frames for a text: it cuts long lines and replaces the bytes of a cut character."""
    frames = b""
    for line in text.splitlines(keepends=True):
        for start in range(0, len(line), ENGINE_CHUNK_BYTES):
            piece = line[start : start + ENGINE_CHUNK_BYTES]
            replaced = "".join(
                "\ufffd" if "\udc80" <= each <= "\udcff" else each
                for each in piece.decode(errors="surrogateescape")
            )
            frames += frame(1, replaced.encode())
    return frames


def read_log(frames: bytes, size: int) -> bytes:
    pieces = [frames[start : start + size] for start in range(0, len(frames), size)]
    return b"".join(data for stream, data in LogReader().read(pieces) if stream is Stream.STDOUT)


@pytest.mark.parametrize("size", range(1, len(FRAMES) + 1))
def test_frames_of_a_log_may_be_split_anywhere(size: int) -> None:
    assert read_log(FRAMES, size) == b"one\nthree\nfour\n"
    assert list(LogReader().read([FRAMES])) == list(FrameReader().read([FRAMES]))


@pytest.mark.parametrize("begin", ["", "a", "ab", "abc"])
@pytest.mark.parametrize(
    "character", ["\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{SNOWMAN}", "\N{GRINNING FACE}"]
)
@pytest.mark.parametrize("end", ["\n", "", "\nnext\n"])
def test_character_that_two_frames_share_is_one_character(begin: str, character: str, end: str) -> None:
    text = begin + character * 3 * ENGINE_CHUNK_BYTES + end

    read = read_log(logged(text.encode()), 10_000).decode()

    assert len(read) == len(text)
    assert set(read) <= {*text, "\ufffd"}
    assert [at for at, each in enumerate(read) if each == "\ufffd"] == cut_characters(text)


def cut_characters(text: str) -> list[int]:
    """Return the positions of the characters of the first line that the engine cuts."""
    ends = itertools.accumulate(len(each.encode()) for each in text)
    begins_and_ends = itertools.pairwise([0, *ends])
    return [
        at
        for at, (begin, end) in enumerate(begins_and_ends)
        if begin // ENGINE_CHUNK_BYTES < (end - 1) // ENGINE_CHUNK_BYTES
    ]


@pytest.mark.parametrize(
    "frames",
    [
        [b"a\xff\n", b"\xff\n"],
        [b"a\xff", b"b\n"],
        [b"a", b"\xffb"],
        [b"a\xff\xff\xff", b"\xff\xff\n"],
        [b"a\xff\xff\xff\xff\xff"],
    ],
)
def test_other_replaced_bytes_are_kept(frames: list[bytes]) -> None:
    replaced = [data.replace(b"\xff", "\ufffd".encode()) for data in frames]

    assert read_log(b"".join(frame(1, data) for data in replaced), 1000) == b"".join(replaced)


def test_replaced_bytes_of_other_streams_are_not_joined() -> None:
    part = "\ufffd".encode()
    frames = frame(1, b"a" + part) + frame(2, part + b"b\n") + frame(1, part + b"c\n")

    assert list(LogReader().read([frames])) == [
        (Stream.STDOUT, b"a"),
        (Stream.STDERR, part + b"b\n"),
        (Stream.STDOUT, part + b"c\n"),
    ]
