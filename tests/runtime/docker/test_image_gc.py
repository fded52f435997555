import os
from pathlib import Path
from typing import cast

import pytest

from tork_celery.domain.errors import EngineFailed
from tork_celery.runtime.docker.engine_images import EngineImages
from tork_celery.runtime.docker.image_gc import ImageGc


class FakeImages:
    """Removes all images but those of `results`, for which it returns or raises the result."""

    def __init__(self, **results: bool | Exception) -> None:
        self.results = results
        self.requested: list[str] = []

    def remove(self, image: str) -> bool:
        self.requested.append(image)
        result = self.results.get(image, True)
        if isinstance(result, Exception):
            raise result
        return result


def make_gc(images: FakeImages, tmp_path: Path, ttl_s: float | None = 60.0) -> ImageGc:
    return ImageGc(images=cast("EngineImages", images), directory=tmp_path / "images", ttl_s=ttl_s)


def age_markers(tmp_path: Path) -> None:
    """Make all markers one hour older."""
    for marker in (tmp_path / "images").iterdir():
        then = marker.stat().st_mtime - 3600
        os.utime(marker, (then, then))


def test_image_is_removed_when_unused_for_the_ttl(tmp_path: Path) -> None:
    images, name = FakeImages(), "registry:5000/a/b:c"
    gc = make_gc(images, tmp_path)
    gc.record_pull(name)
    gc.collect()
    assert images.requested == []

    age_markers(tmp_path)
    gc.collect()
    gc.collect()

    assert images.requested == [name]


def test_use_by_another_worker_of_the_host_keeps_the_image(tmp_path: Path) -> None:
    images = FakeImages()
    gc = make_gc(images, tmp_path)
    gc.record_pull("a")
    age_markers(tmp_path)

    make_gc(images, tmp_path).record_use("a")
    gc.collect()

    assert images.requested == []


def test_image_that_was_not_pulled_is_never_removed(tmp_path: Path) -> None:
    images = FakeImages()
    gc = make_gc(images, tmp_path)

    gc.record_use("a")
    gc.collect()

    assert images.requested == []


@pytest.mark.parametrize(
    "result", [False, EngineFailed("refused", call="remove the image")], ids=["in use", "refused"]
)
def test_image_that_cannot_be_removed_counts_as_used_and_others_are_removed(
    tmp_path: Path, result: bool | Exception
) -> None:
    images = FakeImages(a=result)
    gc = make_gc(images, tmp_path)
    gc.record_pull("a")
    gc.record_pull("b")
    age_markers(tmp_path)

    gc.collect()
    gc.collect()

    assert sorted(images.requested) == ["a", "b"]


def test_no_markers_are_written_without_a_ttl(tmp_path: Path) -> None:
    gc = make_gc(FakeImages(), tmp_path, ttl_s=None)

    gc.record_pull("a")
    gc.record_use("a")
    gc.collect()

    assert not (tmp_path / "images").exists()


def test_image_name_too_long_for_a_marker_is_ignored(tmp_path: Path) -> None:
    gc = make_gc(FakeImages(), tmp_path)

    gc.record_pull("x" * 1000)
    gc.record_use("x" * 1000)
    gc.collect()
