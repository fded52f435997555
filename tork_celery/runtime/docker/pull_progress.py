"""The progress of a pull, as the engine streams it: JSON objects, one on each line."""

import json
from collections.abc import Iterator
from typing import Any

from tork_celery.runtime.docker.engine_images import PullFailed
from tork_celery.runtime.docker.error_mapping import one_line

_LAYER_STATES = frozenset(
    {
        "Pulling fs layer",
        "Waiting",
        "Downloading",
        "Verifying Checksum",
        "Download complete",
        "Extracting",
        "Pull complete",
        "Already exists",
    }
)
_READY = frozenset({"Pull complete", "Already exists"})


class PullProgress:
    """The number of layers of an image that are ready, from the notes of `progress_notes`."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, str] = {}

    def add(self, note: str) -> None:
        layer, _colon, state = note.strip().partition(": ")
        if state in _LAYER_STATES:
            self._layers[layer] = state

    def __str__(self) -> str:
        if not self._layers:
            return f"image {self._image}"
        ready = sum(state in _READY for state in self._layers.values())
        return f"image {self._image}: {ready} of {len(self._layers)} layers are ready"


def progress_notes(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield a line for each change of a layer's state. Raises PullFailed for an error within the stream."""
    states: dict[str, str] = {}
    for progress in _json_lines(chunks):
        if "error" in progress:
            raise _failure(progress)
        layer, state = str(progress.get("id", "")), str(progress.get("status", ""))
        if states.get(layer) != state:
            states[layer] = state
            yield f"{layer}: {state}\n" if layer else f"{state}\n"


def _failure(progress: dict[str, Any]) -> PullFailed:
    detail = progress.get("errorDetail")
    code = detail.get("code") if isinstance(detail, dict) else None
    return PullFailed(one_line(str(progress["error"])), status=code if isinstance(code, int) else None)


def _json_lines(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (_json_object(line) for line in lines if line.strip())


def _json_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise PullFailed(f"the engine's answer cannot be read: {one_line(str(error))}") from error
    if not isinstance(value, dict):
        raise PullFailed("the engine's answer cannot be read: it holds no JSON object")
    return value
