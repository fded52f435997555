"""Image pulls, which all steps of this process that need an image at the same time share."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from queue import SimpleQueue

import structlog

from tork_celery.domain.backoff import Retries
from tork_celery.domain.definition import Registry
from tork_celery.domain.errors import EngineFailed, StepFailed, TorkError
from tork_celery.runtime.docker.engine_images import EngineImages, PullFailed
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.docker.pull_errors import retry_limit
from tork_celery.runtime.docker.pull_progress import PullProgress, progress_notes
from tork_celery.runtime.protocol import Sink, StepRun, Stream
from tork_celery.runtime.running_steps import RunningStep

log = structlog.get_logger(__name__)

_CLOSE_TIMEOUT_S = 1.0
_NUMBER = re.compile(r"\d+")


class _PullResult:
    """The end of a pull; `error` is None when it succeeded."""

    def __init__(self, error: TorkError | None) -> None:
        self.error = error


# Only steps with the same credentials share a pull.
_PullKey = tuple[str, Registry | None]
# What a waiting step receives: progress notes, the result, or None when it is interrupted.
_Inbox = SimpleQueue[str | _PullResult | None]


class ImagePulls:
    """The pulls in progress. A pull continues when a step that waits for it is killed or detached.

    A pull that failed for a reason that may pass is tried again while a step waits for it, for at most
    `timeout_s` seconds over all tries.
    """

    def __init__(self, images: EngineImages, *, timeout_s: float) -> None:
        self._images = images
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pulls: dict[_PullKey, _Pull] = {}

    def pull(self, run: StepRun, step: RunningStep, sink: Sink) -> None:
        """Pull the image of a step. Return when it is there or the step was killed.

        Write the notes of the engine to `sink`, and the progress to `run.pulling`.

        Raises StepFailed, EngineUnavailable, Detached.
        """
        image = run.definition.image or ""
        progress = PullProgress(image)
        run.pulling(str(progress))
        inbox: _Inbox = SimpleQueue()
        with step.interruptible(lambda: inbox.put(None)):
            pull = self._join((image, run.definition.registry), inbox)
            try:
                while step.may_continue():
                    message = inbox.get()
                    if isinstance(message, str):
                        sink(Stream.NOTE, message.encode())
                        progress.add(message)
                        run.pulling(str(progress))
                    elif message is not None:
                        if message.error is not None:
                            raise message.error
                        return
            finally:
                self._leave(pull, inbox)
                run.pulling(None)

    def close(self) -> None:
        """Abort the pulls in progress."""
        with self._lock:
            pulls = list(self._pulls.values())
        for pull in pulls:
            pull.close()

    def _join(self, key: _PullKey, inbox: _Inbox) -> "_Pull":
        """Join the pull of `key`, or start it."""
        inbox.put(f"pulling image {key[0]}\n")
        with self._lock:
            if (pull := self._pulls.get(key)) is not None:
                pull.join_in(inbox)
                return pull
            pull = self._pulls[key] = _Pull(self._images, key, self._timeout_s, on_end=self._finish)
            pull.join_in(inbox)  # before the start, so that no note is missed
            pull.start()
            return pull

    def _leave(self, pull: "_Pull", inbox: _Inbox) -> None:
        with self._lock:
            pull.inboxes.remove(inbox)

    def _finish(self, pull: "_Pull", error: TorkError | None) -> None:
        with self._lock:
            del self._pulls[pull.key]
            for inbox in pull.inboxes:
                inbox.put(_PullResult(error))


class _Pull(threading.Thread):
    """One pull, with its tries. Calls `on_end` with its error, if any."""

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
        self._deadline = 0.0
        self._retries = Retries()
        self._last_failure = ""
        self._stream: EngineStream | None = None
        self._aborted = threading.Event()

    def join_in(self, inbox: _Inbox) -> None:
        """Send progress and result to `inbox`, and first the reason if the pull is being tried again."""
        if self._last_failure:
            inbox.put(self._retry_note())
        self.inboxes.append(inbox)

    def run(self) -> None:
        self._deadline = time.monotonic() + self._timeout_s
        timer = threading.Timer(self._timeout_s, self._abort)
        timer.daemon = True
        timer.start()
        try:
            error = self._pull_until_end()
        except Exception:
            log.exception("image.pull_broken")
            error = EngineFailed(f'image "{self._image}" could not be pulled: a bug', call="pull the image")
        timer.cancel()
        self._on_end(self, self._timeout_error() if self._aborted.is_set() else error)

    def close(self) -> None:
        self._abort()
        self.join(_CLOSE_TIMEOUT_S)

    def _pull_until_end(self) -> TorkError | None:
        """Pull until a try succeeds or no further one is allowed. Return the error of the last."""
        while not self._aborted.is_set():
            try:
                self._pull()
            except PullFailed as failure:
                delay_s = self._delay_s(failure)
                if delay_s is None:
                    return StepFailed(f'image "{self._image}" could not be pulled: {failure}')
                self._note(failure)
                self._aborted.wait(delay_s)
            except TorkError as error:
                return error
            else:
                return None
        return None

    def _delay_s(self, failure: PullFailed) -> float | None:
        """Return the seconds until the next try, or None when no try is left."""
        limit = retry_limit(str(failure), failure.status)
        if limit is None or not self.inboxes:
            return None
        return self._retries.delay_s(limit, limit, now_s=time.monotonic())

    def _note(self, failure: PullFailed) -> None:
        """Tell the waiting steps why the pull is tried again, once for each reason."""
        former, self._last_failure = self._last_failure, str(failure)
        if _without_numbers(former) != _without_numbers(self._last_failure):
            self._send(self._retry_note())

    def _retry_note(self) -> str:
        return (
            f"the image could not be pulled: {self._last_failure}; "
            f"trying again, for {self._timeout_s:g} s in all\n"
        )

    def _pull(self) -> None:
        # The engine sends no headers before the registry has answered. The timer cannot interrupt that.
        timeout_s = max(0.0, self._deadline - time.monotonic()) + _CLOSE_TIMEOUT_S
        with closing(self._images.pull(self._image, self._credentials, timeout_s=timeout_s)) as stream:
            self._stream = stream
            for note in progress_notes(stream.chunks()):
                if self._aborted.is_set():
                    return
                self._send(note)

    def _send(self, note: str) -> None:
        for inbox in list(self.inboxes):
            inbox.put(note)

    def _abort(self) -> None:
        self._aborted.set()
        if self._stream is not None:
            self._stream.interrupt()

    def _timeout_error(self) -> StepFailed:
        reason = f": {self._last_failure}" if self._last_failure else ""
        return StepFailed(f'image "{self._image}" could not be pulled within {self._timeout_s:g} s{reason}')


def _without_numbers(text: str) -> str:
    """Return `text` without the ports and times that differ between the tries of one failure."""
    return _NUMBER.sub("", text)
