"""Stand-ins for images that cannot be pulled."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from scripts import images
from scripts.images import ALPINE, BUSYBOX, FFMPEG, LABEL, RECIPE_VERSION, STAND_INS


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a separate lock, because the test session may hold the real one."""
    monkeypatch.setattr(images, "LOCK", tmp_path / "lock")


@dataclass(eq=False)
class FakeImage:
    engine: "FakeEngine" = field(repr=False)
    labels: dict[str, str] = field(default_factory=dict)

    def tag(self, name: str) -> None:
        self.engine.tags[name] = self


class FakeEngine:
    """A docker client with images in memory. With `registry=None` the registry cannot be reached."""

    def __init__(self, *, registry: tuple[str, ...] | None = None) -> None:
        self.registry = registry
        self.pulls: list[str] = []
        labels = {LABEL: RECIPE_VERSION}
        self.tags = {tag: FakeImage(self, labels) for tag in (ALPINE, BUSYBOX, FFMPEG)}
        self.images = SimpleNamespace(get=self.get, pull=self.pull, remove=self.remove)

    def get(self, name: str) -> FakeImage:
        if name not in self.tags:
            raise ImageNotFound(name)
        return self.tags[name]

    def pull(self, name: str) -> None:
        self.pulls.append(name)
        if self.registry is None:
            raise APIError("no route to the registry")
        if name not in self.registry:
            raise ImageNotFound(name)
        self.tags[name] = FakeImage(self)

    def remove(self, name: str) -> None:
        del self.tags[name]


def stand_ins(
    engine: FakeEngine, names: Iterable[str] = STAND_INS
) -> AbstractContextManager[tuple[str, ...]]:
    return images.stand_ins(cast(docker.DockerClient, engine), names)


def test_missing_images_have_stand_ins_during_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    with stand_ins(engine) as names:
        assert names == tuple(STAND_INS)
        assert all(engine.tags[name] is engine.tags[local] for name, local in STAND_INS.items())
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}
    assert f"ubuntu:mantic cannot be pulled: {BUSYBOX} is used instead" in capsys.readouterr().out


def test_existing_images_are_not_replaced() -> None:
    engine = FakeEngine()
    real = FakeImage(engine)
    real.tag("ubuntu:mantic")
    with stand_ins(engine) as names:
        assert "ubuntu:mantic" not in names
    assert engine.tags["ubuntu:mantic"] is real


def test_pulled_images_have_no_stand_ins_and_are_kept() -> None:
    engine = FakeEngine(registry=("alpine:3.18.3", "ubuntu:mantic"))
    with stand_ins(engine) as names:
        assert names == ("jrottenberg/ffmpeg:3.4-scratch",)
    assert {"alpine:3.18.3", "ubuntu:mantic"} < set(engine.tags)


def test_unreachable_registry_is_tried_once() -> None:
    engine = FakeEngine()
    with stand_ins(engine):
        assert len(engine.pulls) == 1


def test_only_requested_images_have_stand_ins() -> None:
    engine = FakeEngine()
    with stand_ins(engine, ["ubuntu:mantic"]):
        assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG, "ubuntu:mantic"}


def test_stand_in_is_removed_although_its_image_has_no_label() -> None:
    engine = FakeEngine()
    engine.tags[BUSYBOX].labels = {}
    with stand_ins(engine):
        pass
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}


def test_stand_ins_of_a_killed_process_are_removed() -> None:
    engine = FakeEngine()
    engine.tags[BUSYBOX].tag("ubuntu:mantic")
    with stand_ins(engine) as names:
        assert "ubuntu:mantic" in names
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}


def test_last_of_two_users_removes_the_stand_ins() -> None:
    engine = FakeEngine()
    with stand_ins(engine):
        with stand_ins(engine):
            pass
        assert set(STAND_INS) < set(engine.tags)
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}


def test_stand_ins_are_removed_when_the_block_fails() -> None:
    engine = FakeEngine()
    with pytest.raises(RuntimeError), stand_ins(engine):
        raise RuntimeError
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}
