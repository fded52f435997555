"""Image pulls, which all steps of this process that need an image at the same time share."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import SimpleQueue

from tork_celery.domain.definition import Registry
from tork_celery.domain.errors import StepFailed, TorkError
from tork_celery.runtime.docker.engine_images import EngineImages, PullFailed
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.docker.error_mapping import map_pull_error
from tork_celery.runtime.protocol import Sink, Stream
from tork_celery.runtime.running_steps import RunningStep

_CLOSE_TIMEOUT_S = 1.0


class _PullResult:
    """The end of a pull; `error` is None when it succeeded."""

    def __init__(self, error: TorkError | None) -> None:
        self.error = error


# Only steps with the same credentials share a pull.
_PullKey = tuple[str, Registry | None]
# What a waiting step receives: progress notes, the result, or None when it is interrupted.
_Inbox = SimpleQueue[str | _PullResult | None]


class ImagePulls:
    """The pulls in progress. A pull continues when a step that waits for it is killed or detached."""

    def __init__(self, images: EngineImages, *, timeout_s: float) -> None:
        self._images = images
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pulls: dict[_PullKey, _Pull] = {}

    def pull(self, image: str, credentials: Registry | None, step: RunningStep, sink: Sink) -> None:
        """Pull an image. Return when it is there or the step was killed. Write the progress to `sink`.

        Raises StepFailed, EngineUnavailable, Detached.
        """
        inbox: _Inbox = SimpleQueue()
        with step.interruptible(lambda: inbox.put(None)):
            self._join((image, credentials), inbox)
            while step.may_continue():
                message = inbox.get()
                if isinstance(message, str):
                    sink(Stream.NOTE, message.encode())
                elif message is not None:
                    if message.error is not None:
                        raise message.error
                    return

    def close(self) -> None:
        """Abort the pulls in progress."""
        with self._lock:
            pulls = list(self._pulls.values())
        for pull in pulls:
            pull.close()

    def _join(self, key: _PullKey, inbox: _Inbox) -> None:
        """Join the pull of `key`, or start it."""
        inbox.put(f"pulling image {key[0]}\n")
        with self._lock:
            if (pull := self._pulls.get(key)) is not None:
                pull.inboxes.append(inbox)
                return
            pull = self._pulls[key] = _Pull(self._images, key, self._timeout_s, on_end=self._finish)
            pull.inboxes.append(inbox)  # before the start, so that no note is missed
            pull.start()

    def _finish(self, pull: "_Pull", error: TorkError | None) -> None:
        with self._lock:
            del self._pulls[pull.key]
            for inbox in pull.inboxes:
                inbox.put(_PullResult(error))


class _Pull(threading.Thread):
    """One pull. Calls `on_end` with its error, if any."""

    def __init__(
        self,
        images: EngineImages,
        key: _PullKey,
        timeout_s: float,
        *,
        on_end: Callable[["_Pull", TorkError | None], None],
    ) -> None:
        self._image, self._credentials = self.key = key
        super().__init__(name=f"pull {self._image}", daemon=True)
        self.inboxes: list[_Inbox] = []
        self._images = images
        self._timeout_s = timeout_s
        self._on_end = on_end
        self._stream: EngineStream | None = None
        self._aborted = threading.Event()

    def run(self) -> None:
        timer = threading.Timer(self._timeout_s, self._abort)
        timer.daemon = True
        timer.start()
        error: TorkError | None = None
        try:
            self._pull()
        except PullFailed as failure:
            error = map_pull_error(self._image, str(failure))
        except TorkError as failure:
            error = failure
        timer.cancel()
        self._on_end(self, self._timeout_error() if self._aborted.is_set() else error)

    def close(self) -> None:
        self._abort()
        self.join(_CLOSE_TIMEOUT_S)

    def _pull(self) -> None:
        # The engine sends no headers before the registry has answered. The timer cannot interrupt that.
        timeout_s = self._timeout_s + _CLOSE_TIMEOUT_S
        with closing(self._images.pull(self._image, self._credentials, timeout_s=timeout_s)) as stream:
            self._stream = stream
            states: dict[str, str] = {}
            for progress in _json_lines(stream.chunks()):
                if self._aborted.is_set():
                    return
                if "error" in progress:
                    raise PullFailed(str(progress["error"]))
                layer, state = str(progress.get("id", "")), str(progress.get("status", ""))
                if states.get(layer) != state:
                    states[layer] = state
                    self._send(f"{layer}: {state}\n" if layer else f"{state}\n")

    def _send(self, note: str) -> None:
        for inbox in list(self.inboxes):
            inbox.put(note)

    def _abort(self) -> None:
        self._aborted.set()
        if self._stream is not None:
            self._stream.interrupt()

    def _timeout_error(self) -> StepFailed:
        return StepFailed(f'image "{self._image}" could not be pulled within {self._timeout_s:g} s')


def _json_lines(chunks: Iterator[bytes]) -> Iterator[dict[str, object]]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
