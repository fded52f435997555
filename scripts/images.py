"""Images for the demo and the tests on a machine that reaches no registry.

`busybox:stable` is made from Debian's static busybox, `tork-local/alpine` from that and GNU wget, and
`tork-local/ffmpeg` from the binary in the imageio-ffmpeg wheel. Where an image that an example names is
missing and cannot be pulled, `stand_ins` tags these with its name for a while.

    python -m scripts.images [--force]    makes them where they are missing, or anew
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
"""The images that the examples name, and the local one that does in their place."""

LOCK = Path(tempfile.gettempdir()) / f"tork-stand-ins-{os.getuid()}.lock"
"""Held by every run that uses stand-ins."""

LABEL = "tork-celery.made-locally"
RECIPE = "1"
"""Of the images that this file makes; those of another recipe are made anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    tag: str
    rootfs: rootfs.Maker
    config: tuple[str, ...]

    def make(self, client: docker.DockerClient) -> None:
        """Import the image. One that had the tag before is removed unless a container uses it."""
        print(f"making the image {self.tag}", flush=True)
        before = _find(client, self.tag)
        repository, _, tag = self.tag.rpartition(":")
        changes = [*self.config, f"LABEL {LABEL}={RECIPE}"]
        with tempfile.TemporaryFile() as tar:
            self.rootfs(tar)
            tar.seek(0)
            client.api.import_image_from_data(tar, repository, tag, changes)
        if before is not None and before.id != client.images.get(self.tag).id:
            _remove_if_unused(client, before)


RECIPES = {
    BUSYBOX: Recipe(tag=BUSYBOX, rootfs=rootfs.busybox, config=('CMD ["sh"]',)),
    ALPINE: Recipe(tag=ALPINE, rootfs=rootfs.alpine, config=('CMD ["sh"]',)),
    FFMPEG: Recipe(tag=FFMPEG, rootfs=rootfs.ffmpeg, config=("ENV PATH=/bin", 'ENTRYPOINT ["ffmpeg"]')),
}


def ensure(client: docker.DockerClient, tag: str, *, force: bool = False) -> None:
    """Make the local image where it is missing, or anew. Where its parts cannot be had it is pulled.

    Raises Unavailable when neither works.
    """
    image = _find(client, tag)
    if image is not None and not force and image.labels.get(LABEL, RECIPE) == RECIPE:
        return
    try:
        RECIPES[tag].make(client)
    except Unavailable as missing:
        _pull(client, tag)
        if _find(client, tag) is None:
            raise Unavailable(f"The image {tag} is missing and cannot be pulled. {missing}") from None


@contextmanager
def stand_ins(client: docker.DockerClient, names: Iterable[str] = STAND_INS) -> Iterator[tuple[str, ...]]:
    """Within it every image that the examples name is there; yields the names that stand-ins go by.

    Afterwards those tags are gone, those too that a run which was killed left behind. Of several runs at once
    the last one to end removes them.
    """
    lock = os.open(LOCK, os.O_CREAT | os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            _pull_missing(client, names)
            yield _tag_missing(client, names)
        finally:
            if _is_last(lock):
                _untag(client)
    finally:
        os.close(lock)


def _pull_missing(client: docker.DockerClient, names: Iterable[str]) -> None:
    for name in names:
        if _find(client, name) is None and not _pull(client, name):
            return


def _tag_missing(client: docker.DockerClient, names: Iterable[str]) -> tuple[str, ...]:
    for name in names:
        if _find(client, name) is None:
            ensure(client, STAND_INS[name])
            client.images.get(STAND_INS[name]).tag(name)
    tagged = tuple(name for name in names if _is_stand_in(client, name))
    for name in tagged:
        print(f"{name} cannot be pulled: {STAND_INS[name]} goes by its name for now", flush=True)
    return tagged


def _is_stand_in(client: docker.DockerClient, name: str) -> bool:
    image, local = _find(client, name), _find(client, STAND_INS[name])
    return image is not None and (LABEL in image.labels or image == local)


def _is_last(lock: int) -> bool:
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


def _pull(client: docker.DockerClient, name: str) -> bool:
    """Try to pull the image; whether it came, the engine knows. False when the registry is out of reach: the
    engine waits 15 s for one that does not answer, which is enough once."""
    try:
        client.images.pull(name)
    except NotFound:
        return True
    except APIError:
        return False
    return True


def _remove_if_unused(client: docker.DockerClient, image: Image) -> None:
    """Remove what an image that was made anew has replaced."""
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
