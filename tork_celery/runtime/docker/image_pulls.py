"""Pulling images: each once at a time in this process, however many steps wait for it. Only those that have
the same credentials wait for the same pull."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import SimpleQueue

from tork_celery.domain.definition import Registry
from tork_celery.domain.errors import StepFailed, TorkError
from tork_celery.runtime.docker import error_mapping
from tork_celery.runtime.docker.engine_api import EngineApi, PullFailed
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.protocol import Sink, Stream
from tork_celery.runtime.running_steps import RunningStep

_GOODBYE_S = 1.0


class _Ended:
    """The last word of a pull."""

    def __init__(self, error: TorkError | None) -> None:
        self.error = error


_Wanted = tuple[str, Registry | None]
_Inbox = SimpleQueue[str | _Ended | None]


class ImagePulls:
    """The pulls under way. A step that is stopped or left goes away; the pull goes on for the others, and
    for the next step."""

    def __init__(self, api: EngineApi, *, timeout_s: float) -> None:
        self._api = api
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pulls: dict[_Wanted, _Pull] = {}

    def pull(self, image: str, credentials: Registry | None, step: RunningStep, sink: Sink) -> None:
        """Return when the image is there or the step was stopped. How it goes is noted to `sink`.

        Raises StepFailed, EngineUnavailable, Detached.
        """
        inbox: _Inbox = SimpleQueue()
        with step.blocking(lambda: inbox.put(None)):
            self._listen((image, credentials), inbox)
            while step.proceed():
                news = inbox.get()
                if isinstance(news, str):
                    sink(Stream.NOTE, news.encode())
                elif news is not None:
                    if news.error is not None:
                        raise news.error
                    return

    def close(self) -> None:
        """End the pulls under way."""
        with self._lock:
            pulls = list(self._pulls.values())
        for pull in pulls:
            pull.end()

    def _listen(self, wanted: _Wanted, inbox: _Inbox) -> None:
        inbox.put(f"pulling image {wanted[0]}\n")
        with self._lock:
            if (pull := self._pulls.get(wanted)) is not None:
                pull.listeners.append(inbox)
                return
            pull = self._pulls[wanted] = _Pull(self._api, wanted, self._timeout_s, ended=self._ended)
            pull.listeners.append(inbox)  # before its first words
            pull.start()

    def _ended(self, pull: "_Pull", error: TorkError | None) -> None:
        with self._lock:
            del self._pulls[pull.wanted]
            for inbox in pull.listeners:
                inbox.put(_Ended(error))


class _Pull(threading.Thread):
    def __init__(
        self,
        api: EngineApi,
        wanted: _Wanted,
        timeout_s: float,
        *,
        ended: Callable[["_Pull", TorkError | None], None],
    ) -> None:
        self.image, self._credentials = self.wanted = wanted
        super().__init__(name=f"pull {self.image}", daemon=True)
        self.listeners: list[_Inbox] = []
        self._api = api
        self._timeout_s = timeout_s
        self._ended = ended
        self._stream: EngineStream | None = None
        self._over = threading.Event()

    def run(self) -> None:
        clock = threading.Timer(self._timeout_s, self._break_off)
        clock.daemon = True
        clock.start()
        try:
            self._pull()
        except PullFailed as error:
            outcome: TorkError | None = error_mapping.of_pull(self.image, str(error))
        except TorkError as error:
            outcome = error
        else:
            outcome = None
        clock.cancel()
        self._ended(self, self._too_late() if self._over.is_set() else outcome)

    def end(self) -> None:
        self._break_off()
        self.join(_GOODBYE_S)

    def say(self, note: str) -> None:
        for inbox in list(self.listeners):
            inbox.put(note)

    def _pull(self) -> None:
        # The engine sends no headers before the registry has answered: that counts as the pull, too.
        timeout_s = self._timeout_s + _GOODBYE_S
        with closing(self._api.pull(self.image, self._credentials, timeout_s=timeout_s)) as stream:
            self._stream = stream
            said: dict[str, str] = {}
            for news in _objects(stream.chunks()):
                if self._over.is_set():
                    return
                if "error" in news:
                    raise PullFailed(str(news["error"]))
                layer, state = str(news.get("id", "")), str(news.get("status", ""))
                if said.get(layer) != state:
                    said[layer] = state
                    self.say(f"{layer}: {state}\n" if layer else f"{state}\n")

    def _break_off(self) -> None:
        self._over.set()
        if self._stream is not None:
            self._stream.interrupt()

    def _too_late(self) -> TorkError:
        return StepFailed(f'image "{self.image}" could not be pulled within {self._timeout_s:g} s')


def _objects(chunks: Iterator[bytes]) -> Iterator[dict[str, object]]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
