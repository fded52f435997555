"""The output of a step, on its way to the log, the result and the error."""

import codecs
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.masking import Mask, Masker, StreamMask
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Stream
from tork_celery.worker.part_builder import PART_BYTES, PartBuilder, Piece

_TAIL_CHARACTERS = 8 * 1024
_TAIL_LINES = 10
_ABOVE_LIMIT = "the rest of the output is above the limit and not kept\n"
FULL_CHARACTERS = 1024 * 1024
"""A buffer with more than this accepts no output before some of it is stored."""


class LogBatch:
    """Log parts to store in one transaction."""

    def __init__(self, parts: Sequence[LogPart]) -> None:
        self.parts = parts
        self.stored = False

    def mark_stored(self) -> None:
        """Record that the parts are in the datastore, or must not be stored at all."""
        self.stored = True


class _StreamReader:
    """Decodes and masks one stream of a step, and skips the text that is stored already."""

    def __init__(self, *, skip_lines: int, skip_open: int, masker: Masker) -> None:
        """Skip the first `skip_lines` lines and `skip_open` characters of the next line."""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._mask = StreamMask(masker)
        self._skip_lines = skip_lines
        self._skip_open = skip_open

    def read(self, data: bytes, *, final: bool = False) -> str:
        # PostgreSQL cannot store NUL in a text
        text = self._decoder.decode(data, final).replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return self._mask.feed(text, final=final)

    def skip_stored(self, text: str) -> str:
        """Return the part of `text` that is not stored yet."""
        while self._skip_lines and text:
            end = text.find("\n")
            if end < 0:
                return ""
            text = text[end + 1 :]
            self._skip_lines -= 1
        if self._skip_open and text:
            text, self._skip_open = text[self._skip_open :], max(0, self._skip_open - len(text))
        return text


class StepOutput:
    """A sink that buffers the output of a step, with secrets masked, until it is stored. Thread-safe.

    The text before the position `stored` is in the datastore already and is skipped.
    """

    def __init__(
        self,
        *,
        task_id: str,
        step: int,
        stored: LogPosition,
        limit_bytes: int,
        step_name: str | None = None,
        masker: Masker | None = None,
        mask_result: Mask = str,
    ) -> None:
        """`masker` masks the log. `mask_result` masks in the result what only this worker knows."""
        self._task_id = task_id
        self._step = step
        self._limit_bytes = limit_bytes
        self.masker = masker or Masker()
        self._step_name = None if step_name is None else self.masker.mask(step_name)
        self.mask_result = mask_result
        self._lock = threading.Lock()
        # Held while a piece is masked. Only the end of the output waits for it.
        self._reading = threading.Lock()
        self._storing = (
            threading.Lock()
        )  # held while a batch is stored: each part is stored once and in order
        self._restart(stored)

    def __call__(self, stream: Stream, data: bytes, /, *, arrived_s: float | None = None) -> None:
        """Buffer output that arrived at `arrived_s` of the monotonic clock, by default now."""
        with self._reading:
            text = self._readers[stream].read(data)
            self._buffer(Piece(stream, text, time.monotonic() if arrived_s is None else arrived_s), data)

    def note(self, text: str) -> None:
        """Add a line to the log that the step did not print."""
        self(Stream.NOTE, f"{text}\n".encode())

    def restart(self, read_position: Callable[[], LogPosition] = LogPosition) -> None:
        """Expect the output from its first byte again, and drop what is not stored.

        `read_position` returns the position up to which the output is stored. No batch is stored meanwhile.
        """
        with self._storing:
            position = read_position()
            with self._reading, self._lock:
                self._restart(position)

    @property
    def full(self) -> bool:
        return self._unstored_characters > FULL_CHARACTERS

    @contextmanager
    def storing(self, *, final: bool = False) -> Iterator[LogBatch]:
        """Yield the parts to store, in order. Other threads wait until the context ends.

        If the batch is not marked as stored, the next batch starts with the same parts. Unless `final`, an
        open line at the end is held back while it follows complete lines.
        """
        with self._storing:
            taken, now_s = self._take(final=final), time.monotonic()
            batch = LogBatch(tuple(replace(part, age_s=now_s - began_s) for began_s, part in taken))
            try:
                yield batch
            finally:
                if batch.stored:
                    self._drop_taken()

    def stdout(self) -> bytes:
        """Return the beginning of stdout: up to MAX_RESULT_BYTES, and one byte more if there was more."""
        return bytes(self._head)

    def last_lines(self) -> str:
        """Return the last ten lines of stdout and stderr."""
        return "\n".join(self._tail.rstrip("\n").split("\n")[-_TAIL_LINES:])

    def _buffer(self, piece: Piece, data: bytes) -> None:
        with self._lock:
            self._append_text(piece)
            if piece.stream is Stream.STDOUT and len(self._head) <= MAX_RESULT_BYTES:
                self._head += data[: MAX_RESULT_BYTES + 1 - len(self._head)]

    def _restart(self, stored: LogPosition) -> None:
        self._position = stored
        self._room = self._limit_bytes
        self._cut = False
        self._readers = {
            Stream.STDOUT: self._reader(stored.stdout_lines, stored.stdout_open),
            Stream.STDERR: self._reader(stored.stderr_lines, stored.stderr_open),
            Stream.NOTE: self._reader(0, 0),
        }
        self._pending: deque[Piece] = deque()
        self._taken: list[tuple[float, LogPart]] = []  # each with the time at which it began
        self._unstored_characters = 0
        self._head = bytearray()
        self._tail = ""

    def _reader(self, lines: int, open_characters: int) -> _StreamReader:
        return _StreamReader(skip_lines=lines, skip_open=open_characters, masker=self.masker)

    def _take(self, *, final: bool) -> Sequence[tuple[float, LogPart]]:
        """Move pending text into parts; return all parts that are not stored."""
        if final:
            self._end_streams()
        with self._lock:
            held = [] if final else self._hold_open_line()
            while self._pending:
                self._taken.append(self._next_part())
            self._pending.extend(held)
            return tuple(self._taken)

    def _end_streams(self) -> None:
        with self._reading, self._lock:
            for stream, reader in self._readers.items():
                self._append_text(Piece(stream, reader.read(b"", final=True), time.monotonic()))

    def _drop_taken(self) -> None:
        with self._lock:
            self._unstored_characters -= sum(len(part.contents) for _, part in self._taken)
            self._taken.clear()

    def _append_text(self, piece: Piece) -> None:
        text = piece.text
        if piece.stream is Stream.NOTE:
            self._append(piece)
        elif text:
            self._tail = (self._tail + text)[-_TAIL_CHARACTERS:]
            # The limit counts the text that an earlier process stored too: it is the limit of the step.
            kept, self._room = text[: self._room], max(0, self._room - len(text))
            self._append(piece.with_text(self._readers[piece.stream].skip_stored(kept)))
            if len(kept) < len(text) and not self._cut:
                self._cut = True
                self._append(Piece(Stream.NOTE, _ABOVE_LIMIT, piece.arrived_s))

    def _append(self, piece: Piece) -> None:
        if piece.text:
            self._pending.append(piece)
            self._unstored_characters += len(piece.text)

    def _hold_open_line(self) -> list[Piece]:
        """Remove an open line from the end of the pending text, unless it is all of it or fills a part."""
        if not self._pending:
            return []
        piece = self._pending[-1]
        cut = piece.text.rfind("\n") + 1
        length = len(piece.text) - cut
        if not length or (cut == 0 and len(self._pending) == 1) or length > PART_BYTES:
            return []
        self._pending.pop()
        if cut:
            self._pending.append(piece.with_text(piece.text[:cut]))
        return [piece.with_text(piece.text[cut:])]

    def _next_part(self) -> tuple[float, LogPart]:
        builder = PartBuilder(self._position, self._pending[0])
        while self._pending and builder.fits(self._pending[0]):
            if rest := builder.add(self._pending.popleft()):
                self._pending.appendleft(rest)
        part = builder.part(task_id=self._task_id, step=self._step, step_name=self._step_name)
        self._position = part.position
        return builder.began_s, part
