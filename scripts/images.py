"""Images for the demo and the tests, on a machine that may not reach a registry.

`busybox:stable` is built from Debian's static busybox, `tork-local/alpine` from the same and GNU wget, and
`tork-local/ffmpeg` from the binary in the imageio-ffmpeg wheel. If an image of an example is missing and
cannot be pulled, `stand_ins` tags one of these with its name temporarily.

    python -m scripts.images [--force]

builds the missing images, or all of them.
"""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.images import Image

from scripts import rootfs
from scripts.apt import Unavailable

BUSYBOX = "busybox:stable"
ALPINE = "tork-local/alpine:latest"
FFMPEG = "tork-local/ffmpeg:latest"

STAND_INS = {
    "alpine:3.18.3": ALPINE,
    "ubuntu:mantic": BUSYBOX,
    "jrottenberg/ffmpeg:3.4-scratch": FFMPEG,
}
"""Local images by the names of the images in the examples that they replace."""

LOCK = Path(tempfile.gettempdir()) / f"tork-stand-ins-{os.getuid()}.lock"
"""A file on which each process that uses stand-ins holds a shared lock."""

LABEL = "tork-celery.made-locally"
RECIPE_VERSION = "1"
"""The label's value. Local images with another version are built again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    tag: str
    write_rootfs: rootfs.Writer
    changes: tuple[str, ...]
    """Instructions of a Dockerfile."""

    def build(self, client: docker.DockerClient) -> None:
        """Import the image. An image that had the tag is removed unless a container uses it."""
        print(f"making the image {self.tag}", flush=True)
        previous = _find(client, self.tag)
        repository, _, tag = self.tag.rpartition(":")
        changes = [*self.changes, f"LABEL {LABEL}={RECIPE_VERSION}"]
        with tempfile.TemporaryFile() as tar:
            self.write_rootfs(tar)
            tar.seek(0)
            client.api.import_image_from_data(tar, repository, tag, changes)
        if previous is not None and previous.id != client.images.get(self.tag).id:
            _remove_if_unused(client, previous)


RECIPES = {
    BUSYBOX: Recipe(tag=BUSYBOX, write_rootfs=rootfs.write_busybox, changes=('CMD ["sh"]',)),
    ALPINE: Recipe(tag=ALPINE, write_rootfs=rootfs.write_alpine, changes=('CMD ["sh"]',)),
    FFMPEG: Recipe(
        tag=FFMPEG, write_rootfs=rootfs.write_ffmpeg, changes=("ENV PATH=/bin", 'ENTRYPOINT ["ffmpeg"]')
    ),
}


def ensure(client: docker.DockerClient, tag: str, *, force: bool = False) -> None:
    """Build a local image if it is missing or outdated, or if `force` is set.

    Pulls the image if its parts are not available. Raises Unavailable when neither works.
    """
    image = _find(client, tag)
    if image is not None and not force and image.labels.get(LABEL, RECIPE_VERSION) == RECIPE_VERSION:
        return
    try:
        RECIPES[tag].build(client)
    except Unavailable as error:
        _try_pull(client, tag)
        if _find(client, tag) is None:
            raise Unavailable(f"The image {tag} is missing and cannot be pulled. {error}") from None


@contextmanager
def stand_ins(client: docker.DockerClient, names: Iterable[str] = STAND_INS) -> Iterator[tuple[str, ...]]:
    """Provide the images of the examples for a block, and yield the names that stand-ins have.

    The last of all concurrent processes removes the tags, including those of a process that was killed.
    """
    lock = os.open(LOCK, os.O_CREAT | os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            _pull_missing(client, names)
            yield _tag_missing(client, names)
        finally:
            if _is_last_holder(lock):
                _untag(client)
    finally:
        os.close(lock)


def _pull_missing(client: docker.DockerClient, names: Iterable[str]) -> None:
    for name in names:
        if _find(client, name) is None and not _try_pull(client, name):
            return


def _tag_missing(client: docker.DockerClient, names: Iterable[str]) -> tuple[str, ...]:
    for name in names:
        if _find(client, name) is None:
            ensure(client, STAND_INS[name])
            client.images.get(STAND_INS[name]).tag(name)
    tagged = tuple(name for name in names if _is_stand_in(client, name))
    for name in tagged:
        print(f"{name} cannot be pulled: {STAND_INS[name]} is used instead", flush=True)
    return tagged


def _is_stand_in(client: docker.DockerClient, name: str) -> bool:
    image, local = _find(client, name), _find(client, STAND_INS[name])
    return image is not None and (LABEL in image.labels or image == local)


def _is_last_holder(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _untag(client: docker.DockerClient) -> None:
    for name in STAND_INS:
        if _is_stand_in(client, name):
            client.images.remove(name)


def _find(client: docker.DockerClient, name: str) -> Image | None:
    try:
        return client.images.get(name)
    except ImageNotFound:
        return None


def _try_pull(client: docker.DockerClient, name: str) -> bool:
    """Try to pull an image and return whether the registry answered, even if it does not have the image.

    The engine waits 15 s for a registry that does not answer, so a caller should not try again.
    """
    try:
        client.images.pull(name)
    except NotFound:
        return True
    except APIError:
        return False
    return True


def _remove_if_unused(client: docker.DockerClient, image: Image) -> None:
    with suppress(APIError):
        client.api.remove_image(image.id or "")


def main() -> None:
    try:
        client = docker.from_env()
        for tag in RECIPES:
            ensure(client, tag, force="--force" in sys.argv[1:])
    except (Unavailable, DockerException) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
