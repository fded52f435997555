"""Decoder of the engine's frames, which multiplex stdout and stderr over one connection.

A frame is a header of eight bytes and the payload. The header holds the number of the stream in one byte,
three zero bytes, and the size of the payload in four bytes, big-endian.
"""

from collections.abc import Iterator
from struct import Struct

from tork_celery.runtime.protocol import Stream

_HEADER = Struct(">BxxxL")
_STREAMS = {0: Stream.STDOUT, 1: Stream.STDOUT, 2: Stream.STDERR}


class FrameReader:
    """Incremental decoder.

    Adjacent payloads of one stream are joined, because a command that prints line by line sends one frame for
    each line. An incomplete payload is returned at once.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = Stream.STDOUT
        self._remaining = 0

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
