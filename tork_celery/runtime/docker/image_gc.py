"""Removal of pulled images that no step has used for some time."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import structlog

from tork_celery.domain.errors import EngineFailed
from tork_celery.runtime.docker.engine_images import EngineImages

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGc:
    """Removes an image once no step has used it for `ttl_s` seconds; never when `ttl_s` is None.

    `directory` holds an empty marker file for each pulled image, whose modification time is the image's last
    use. All workers of a host share it, over restarts. Images that were not pulled by them have no marker and
    are never removed.
    """

    images: EngineImages
    directory: Path
    ttl_s: float | None

    def record_pull(self, image: str) -> None:
        if self.ttl_s is not None:
            with suppress(OSError):  # the name is too long, or the disk full: the image is kept
                self.directory.mkdir(parents=True, exist_ok=True)
                self._marker(image).touch()

    def record_use(self, image: str) -> None:
        if self.ttl_s is not None:
            with suppress(OSError):
                os.utime(self._marker(image))

    def collect(self) -> None:
        """Remove unused images. An image that cannot be removed counts as used now."""
        for image in list(self._unused()):
            if self._remove(image):
                self._marker(image).unlink(missing_ok=True)
                log.info("image.removed", image=image)
            else:
                self.record_use(image)

    def _remove(self, image: str) -> bool:
        try:
            return self.images.remove(image)
        except EngineFailed as error:  # continue with the other images
            log.warning("runtime.removal_failed", image=image, reason=str(error))
            return False

    def _unused(self) -> Iterator[str]:
        if self.ttl_s is None or not self.directory.exists():
            return
        for marker in self.directory.iterdir():
            with suppress(FileNotFoundError):
                if marker.stat().st_mtime < time.time() - self.ttl_s:
                    yield unquote(marker.name)

    def _marker(self, image: str) -> Path:
        return self.directory / quote(image, safe="")
