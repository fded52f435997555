"""The engine's way of sending two streams through one connection.

Each frame is a header of eight bytes (the stream's number, three zeros, the size in four bytes, the
largest first) and as many bytes as it says.
"""

from collections.abc import Iterator
from struct import Struct

from tork_celery.runtime.protocol import Stream

_HEADER = Struct(">BxxxL")
_STREAMS = {0: Stream.STDOUT, 1: Stream.STDOUT, 2: Stream.STDERR}


class FrameReader:
    """Takes bytes as they arrive, cut anywhere, and gives back what each stream holds.

    A command that prints line by line sends a frame for every line, so what one read brought of one stream
    is joined; a frame that has not arrived as a whole is not waited for.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = Stream.STDOUT
        self._missing = 0

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        if self._header:
            data, self._header = self._header + data, b""
        pieces: list[bytes] = []
        position, end = 0, len(data)
        while position < end:
            if not self._missing:
                if end - position < _HEADER.size:
                    self._header = data[position:]
                    break
                number, self._missing = _HEADER.unpack_from(data, position)
                position += _HEADER.size
                if (stream := _STREAMS.get(number, Stream.NOTE)) is not self._stream:
                    if pieces:
                        yield self._stream, b"".join(pieces)
                        pieces = []
                    self._stream = stream
            piece = data[position : position + self._missing]
            pieces.append(piece)
            position += len(piece)
            self._missing -= len(piece)
        if pieces and (joined := b"".join(pieces)):
            yield self._stream, joined
