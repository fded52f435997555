from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from docker.errors import APIError, ImageNotFound

from scripts import images
from scripts.images import ALPINE, BUSYBOX, FFMPEG, LABEL, RECIPE, STAND_INS, stand_ins


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite itself may run with stand-ins, and holds the usual lock then."""
    monkeypatch.setattr(images, "LOCK", tmp_path / "lock")


@dataclass(eq=False)
class FakeImage:
    engine: "FakeEngine" = field(repr=False)
    labels: dict[str, str] = field(default_factory=dict)

    def tag(self, name: str) -> None:
        self.engine.tags[name] = self


class FakeEngine:
    """The part of the docker client that images need, with a registry that has a few images or none."""

    def __init__(self, *, registry: tuple[str, ...] | None = None) -> None:
        self.registry = registry
        self.pulls: list[str] = []
        made = {LABEL: RECIPE}
        self.tags = {tag: FakeImage(self, made) for tag in (ALPINE, BUSYBOX, FFMPEG)}
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


def test_missing_images_have_stand_ins_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    with stand_ins(engine) as names:
        assert names == tuple(STAND_INS)
        assert all(engine.tags[name] is engine.tags[local] for name, local in STAND_INS.items())
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}
    assert f"ubuntu:mantic cannot be pulled: {BUSYBOX} goes by its name" in capsys.readouterr().out


def test_images_that_are_there_are_not_touched() -> None:
    engine = FakeEngine()
    real = FakeImage(engine)
    real.tag("ubuntu:mantic")
    with stand_ins(engine) as names:
        assert "ubuntu:mantic" not in names
    assert engine.tags["ubuntu:mantic"] is real


def test_images_that_can_be_pulled_need_no_stand_ins_and_stay() -> None:
    engine = FakeEngine(registry=("alpine:3.18.3", "ubuntu:mantic"))
    with stand_ins(engine) as names:
        assert names == ("jrottenberg/ffmpeg:3.4-scratch",)
    assert {"alpine:3.18.3", "ubuntu:mantic"} < set(engine.tags)


def test_a_registry_out_of_reach_is_asked_once() -> None:
    engine = FakeEngine()
    with stand_ins(engine):
        assert len(engine.pulls) == 1


def test_only_the_images_asked_for_get_stand_ins() -> None:
    engine = FakeEngine()
    with stand_ins(engine, ["ubuntu:mantic"]):
        assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG, "ubuntu:mantic"}


def test_a_stand_in_of_an_image_that_was_not_made_here_is_removed_too() -> None:
    engine = FakeEngine()
    engine.tags[BUSYBOX].labels = {}
    with stand_ins(engine):
        pass
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}


def test_stand_ins_that_a_killed_run_left_are_removed() -> None:
    engine = FakeEngine()
    engine.tags[BUSYBOX].tag("ubuntu:mantic")
    with stand_ins(engine) as names:
        assert "ubuntu:mantic" in names
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}


def test_of_two_runs_the_last_one_to_end_removes_the_stand_ins() -> None:
    engine = FakeEngine()
    with stand_ins(engine):
        with stand_ins(engine):
            pass
        assert set(STAND_INS) < set(engine.tags)
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}


def test_a_failure_within_removes_the_stand_ins() -> None:
    engine = FakeEngine()
    with pytest.raises(RuntimeError), stand_ins(engine):
        raise RuntimeError
    assert set(engine.tags) == {ALPINE, BUSYBOX, FFMPEG}
