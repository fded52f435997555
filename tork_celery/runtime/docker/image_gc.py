"""How long images are kept that the workers of this machine pulled."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import structlog

from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker.engine_api import EngineApi

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGc:
    """Removes an image when no step has used it for `ttl_s`; never without. An empty file in `directory` says
    of each image that it was pulled, and by its time when it was last used; all workers of a machine share
    them, and so do those that come after them."""

    api: EngineApi
    directory: Path
    ttl_s: float | None

    def pulled(self, image: str) -> None:
        if self.ttl_s is not None:
            with suppress(OSError):  # a name that is too long, a full disk: it is kept
                self.directory.mkdir(parents=True, exist_ok=True)
                self._mark(image).touch()

    def used(self, image: str) -> None:
        if self.ttl_s is not None:
            with suppress(OSError):
                os.utime(self._mark(image))

    def collect(self) -> None:
        """Remove what was not used for so long. An image that a container has counts as used."""
        for image in list(self._unused()):
            if self._removed(image):
                self._mark(image).unlink(missing_ok=True)
                log.info("image.removed", image=image)
            else:
                self.used(image)

    def _removed(self, image: str) -> bool:
        try:
            return self.api.remove_image(image)
        except StepFailed as error:  # refused: the others are not to wait for this one
            log.warning("runtime.removal_failed", image=image, reason=str(error))
            return False

    def _unused(self) -> Iterator[str]:
        if self.ttl_s is None or not self.directory.exists():
            return
        for mark in self.directory.iterdir():
            with suppress(FileNotFoundError):
                if mark.stat().st_mtime < time.time() - self.ttl_s:
                    yield unquote(mark.name)

    def _mark(self, image: str) -> Path:
        return self.directory / quote(image, safe="")
