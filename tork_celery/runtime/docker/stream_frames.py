"""Decoder of the engine's frames, which multiplex stdout and stderr over one connection.

A frame is a header of eight bytes and the payload. The header holds the number of the stream in one byte,
three zero bytes, and the size of the payload in four bytes, big-endian.
"""

from collections.abc import Iterable, Iterator
from struct import Struct

from tork_celery.runtime.protocol import Stream

_HEADER = Struct(">BxxxL")
_STREAMS = {0: Stream.STDOUT, 1: Stream.STDOUT, 2: Stream.STDERR}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
_LONGEST_CHARACTER = 4  # bytes in UTF-8


class FrameReader:
    """Incremental decoder.

    Adjacent payloads of one stream are joined, because a command that prints line by line sends one frame for
    each line. An incomplete payload is returned at once.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = Stream.STDOUT
        self._remaining = 0

    def read(self, chunks: Iterable[bytes]) -> Iterator[tuple[Stream, bytes]]:
        """Yield the payloads in all chunks."""
        for chunk in chunks:
            yield from self.feed(chunk)

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """Yield the payloads in `data`, which may begin and end anywhere in a frame."""
        if self._header:
            data, self._header = self._header + data, b""
        pieces: list[bytes] = []
        position, end = 0, len(data)
        while position < end:
            if not self._remaining:
                if end - position < _HEADER.size:
                    self._header = data[position:]
                    break
                number, self._remaining = _HEADER.unpack_from(data, position)
                position += _HEADER.size
                if (stream := _STREAMS.get(number, Stream.NOTE)) is not self._stream:
                    if pieces:
                        yield self._stream, b"".join(pieces)
                        pieces = []
                    self._stream = stream
            piece = data[position : position + self._remaining]
            pieces.append(piece)
            position += len(piece)
            self._remaining -= len(piece)
        if pieces and (joined := b"".join(pieces)):
            yield self._stream, joined


class LogReader:
    """Incremental decoder of the engine's log file, in which each frame is a line or 16 KiB of a long one.

    The file holds text: the engine has replaced each byte of a character that two frames share by U+FFFD.
    This decoder makes one U+FFFD of them. So all later characters of the line have the position that they
    have in the live output.
    """

    def __init__(self) -> None:
        self._data = b""
        self._held: dict[Stream, int] = {}
        """How many U+FFFD ended the last frame of a stream, which may be a part of a character."""

    def read(self, chunks: Iterable[bytes]) -> Iterator[tuple[Stream, bytes]]:
        """Yield the payloads in all chunks, adjacent ones of one stream joined."""
        for chunk in chunks:
            yield from self._feed(chunk)
        for stream, number in self._held.items():
            yield stream, _REPLACEMENT * number

    def _feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        data = self._data + data
        pieces: list[bytes] = []
        last, position = Stream.STDOUT, 0
        while len(data) - position >= _HEADER.size:
            number, size = _HEADER.unpack_from(data, position)
            start = position + _HEADER.size
            if start + size > len(data):
                break
            position = start + size
            if (stream := _STREAMS.get(number, Stream.NOTE)) is not last:
                yield from _joined(last, pieces)
                last, pieces = stream, []
            pieces.append(self._whole(stream, data[start:position]))
        self._data = data[position:]
        yield from _joined(last, pieces)

    def _whole(self, stream: Stream, payload: bytes) -> bytes:
        """Return a payload. A replaced character at its beginning is joined, and one at its end held back."""
        if held := self._held.pop(stream, 0):
            begin = _replaced_at_begin(payload)
            if 0 < begin <= _LONGEST_CHARACTER - held:
                payload = _REPLACEMENT + payload[begin * len(_REPLACEMENT) :]
            else:
                payload = _REPLACEMENT * held + payload
        if end := _replaced_at_end(payload):
            self._held[stream] = end
            return payload[: -end * len(_REPLACEMENT)]
        return payload


def _replaced_at_begin(payload: bytes) -> int:
    number = 0
    while payload.startswith(_REPLACEMENT, number * len(_REPLACEMENT)):
        number += 1
    return number


def _replaced_at_end(payload: bytes) -> int:
    """Return how many U+FFFD at the end may be a part of one character."""
    number = 0
    while number < _LONGEST_CHARACTER - 1 and payload.endswith(
        _REPLACEMENT, 0, len(payload) - number * len(_REPLACEMENT)
    ):
        number += 1
    return number


def _joined(stream: Stream, pieces: list[bytes]) -> Iterator[tuple[Stream, bytes]]:
    if joined := b"".join(pieces):
        yield stream, joined
