"""What a step prints, on its way into the log, the result and the error: one stream, read once."""

import codecs
import threading
from collections import deque
from collections.abc import Collection, Sequence

from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.redaction import StreamMask
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Stream

_PART_BYTES = 64 * 1024
_WIDEST_CHARACTER_BYTES = 4  # in UTF-8
_TAIL_CHARACTERS = 8 * 1024
_TAIL_LINES = 10
_ABOVE_LIMIT = "\n[the rest of the output is above the limit and not kept]\n"
FULL_CHARACTERS = 1024 * 1024
"""A buffer with more than this waits for the datastore before it takes more."""


class _Reader:
    """One of the streams of a step: its bytes become text, its lines are counted."""

    def __init__(self, *, skip_lines: int, skip_open: int, secrets: Collection[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._mask = StreamMask(secrets)
        self._skip_lines = skip_lines
        self._skip_open = skip_open

    def read(self, data: bytes, *, final: bool = False) -> str:
        # PostgreSQL cannot store NUL in a text
        text = self._decoder.decode(data, final).replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return self._mask.feed(text, final=final)

    def skip(self, text: str) -> str:
        """`text` without what was stored by an earlier process."""
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
    """A `runtime.Sink` that keeps what a step prints until it is taken to the datastore, `secrets` masked.

    `stored` is what of this step's output is in the datastore already: that much is passed over.
    """

    def __init__(
        self,
        *,
        task_id: str,
        step: int,
        stored: LogPosition,
        limit_bytes: int,
        secrets: Collection[str] = (),
    ) -> None:
        self._task_id = task_id
        self._step = step
        self._limit_bytes = limit_bytes
        self._secrets = secrets
        self._lock = threading.Lock()
        self.storing = threading.Lock()
        """Held from `take` to `stored`, so that parts are stored once and in order."""
        self.restart(stored)

    def restart(self, stored: LogPosition) -> None:
        """From now on the output comes again from its very beginning. What was not stored is forgotten."""
        with self._lock:
            self._position = stored
            self._room = self._limit_bytes
            self._cut = False
            self._readers = {
                Stream.STDOUT: self._reader(stored.stdout_lines, stored.stdout_open),
                Stream.STDERR: self._reader(stored.stderr_lines, stored.stderr_open),
                Stream.NOTE: self._reader(0, 0),
            }
            self._pending: deque[tuple[Stream, str]] = deque()
            self._taken: list[LogPart] = []
            self._unstored_characters = 0
            self._head = bytearray()
            self._tail = ""

    def __call__(self, stream: Stream, data: bytes, /) -> None:
        with self._lock:
            self._take_in(stream, self._readers[stream].read(data))
            if stream is Stream.STDOUT and len(self._head) <= MAX_RESULT_BYTES:
                self._head += data[: MAX_RESULT_BYTES + 1 - len(self._head)]

    def note(self, text: str) -> None:
        """Add a line of the system's own to the log."""
        self(Stream.NOTE, f"{text}\n".encode())

    @property
    def full(self) -> bool:
        return self._unstored_characters > FULL_CHARACTERS

    def take(self, *, final: bool = False) -> Sequence[LogPart]:
        """What is to be stored now, in order: the same again until `stored` is called. Unless `final`, a line
        that is still open is held back while there are whole ones before it."""
        with self._lock:
            if final:
                for stream, reader in self._readers.items():
                    self._take_in(stream, reader.read(b"", final=True))
            held = [] if final else self._hold_open_line()
            while self._pending:
                self._taken.append(self._next_part())
            self._pending.extend(held)
            return tuple(self._taken)

    def stored(self) -> None:
        """What was taken is in the datastore."""
        with self._lock:
            self._unstored_characters -= sum(len(part.contents) for part in self._taken)
            self._taken.clear()

    def stdout(self) -> bytes:
        """The beginning of what was printed on stdout: MAX_RESULT_BYTES, and one more if there was more."""
        return bytes(self._head)

    def last_lines(self) -> str:
        """The last ten lines of what was printed."""
        return "\n".join(self._tail.rstrip("\n").split("\n")[-_TAIL_LINES:])

    def _reader(self, lines: int, still_open: int) -> _Reader:
        return _Reader(skip_lines=lines, skip_open=still_open, secrets=self._secrets)

    def _take_in(self, stream: Stream, text: str) -> None:
        if not text:
            return
        if stream is not Stream.NOTE:
            self._tail = (self._tail + text)[-_TAIL_CHARACTERS:]
            # what an earlier process stored counts, too: the limit is that of the step, whoever reads it
            kept, self._room = text[: self._room], max(0, self._room - len(text))
            self._append(stream, self._readers[stream].skip(kept))
            if len(kept) < len(text) and not self._cut:
                self._cut = True
                self._append(Stream.NOTE, _ABOVE_LIMIT)
        else:
            self._append(stream, text)

    def _append(self, stream: Stream, text: str) -> None:
        if text:
            self._pending.append((stream, text))
            self._unstored_characters += len(text)

    def _hold_open_line(self) -> list[tuple[Stream, str]]:
        """Take the open line off the end of what is pending, unless nothing else is."""
        if not self._pending:
            return []
        stream, text = self._pending[-1]
        cut = text.rfind("\n") + 1
        if cut == len(text) or (cut == 0 and len(self._pending) == 1) or len(text) - cut > _PART_BYTES:
            return []
        self._pending.pop()
        if cut:
            self._pending.append((stream, text[:cut]))
        return [(stream, text[cut:])]

    def _next_part(self) -> LogPart:
        texts: list[str] = []
        room = _PART_BYTES
        while self._pending and room > 0:
            stream, text = self._pending.popleft()
            taken, rest = _cut(text, room)
            if rest:
                self._pending.appendleft((stream, rest))
            if not taken:
                break
            room = 0 if rest else room - _bytes_at_most(taken)
            self._position = _after(self._position, stream, taken)
            texts.append(taken)
        return LogPart(
            task_id=self._task_id, step=self._step, contents="".join(texts), position=self._position
        )


def _bytes_at_most(text: str) -> int:
    return len(text) if text.isascii() else len(text) * _WIDEST_CHARACTER_BYTES


def _cut(text: str, room: int) -> tuple[str, str]:
    """As much of `text` as fits into `room` bytes, up to a line's end if one is there; and the rest."""
    if _bytes_at_most(text) <= room:
        return text, ""
    fitting = room if text[:room].isascii() else room // _WIDEST_CHARACTER_BYTES
    line = text.rfind("\n", 0, fitting) + 1
    if not line and room < _PART_BYTES:
        return "", text  # begin a part of its own with it
    return text[: line or fitting], text[line or fitting :]


def _after(position: LogPosition, stream: Stream, text: str) -> LogPosition:
    """Where a reader stands that has read `text` from `position` on."""
    lines = text.count("\n")
    still_open = len(text) - text.rfind("\n") - 1
    if stream is Stream.STDOUT:
        return LogPosition(
            stdout_lines=position.stdout_lines + lines,
            stdout_open=still_open if lines else position.stdout_open + len(text),
            stderr_lines=position.stderr_lines,
            stderr_open=position.stderr_open,
        )
    if stream is Stream.STDERR:
        return LogPosition(
            stdout_lines=position.stdout_lines,
            stdout_open=position.stdout_open,
            stderr_lines=position.stderr_lines + lines,
            stderr_open=still_open if lines else position.stderr_open + len(text),
        )
    return position
