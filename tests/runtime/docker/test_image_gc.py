"""How long images are kept."""

import os
from pathlib import Path
from typing import cast

import pytest

from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.image_gc import ImageGc


class Engine:
    """Removes all images but those of `answers`, for which it says that or raises it."""

    def __init__(self, **answers: bool | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def remove_image(self, image: str) -> bool:
        self.asked.append(image)
        answer = self.answers.get(image, True)
        if isinstance(answer, Exception):
            raise answer
        return answer


def image_gc(engine: Engine, tmp_path: Path, ttl_s: float | None = 60.0) -> ImageGc:
    return ImageGc(api=cast("EngineApi", engine), directory=tmp_path / "images", ttl_s=ttl_s)


def age(tmp_path: Path) -> None:
    """It is an hour later."""
    for mark in (tmp_path / "images").iterdir():
        then = mark.stat().st_mtime - 3600
        os.utime(mark, (then, then))


def test_an_image_goes_when_it_was_not_used_for_so_long(tmp_path: Path) -> None:
    engine, name = Engine(), "registry:5000/a/b:c"
    kept = image_gc(engine, tmp_path)
    kept.pulled(name)
    kept.collect()
    assert engine.asked == []

    age(tmp_path)
    kept.collect()
    kept.collect()

    assert engine.asked == [name]


def test_a_use_keeps_it_also_for_another_worker_of_the_machine(tmp_path: Path) -> None:
    engine = Engine()
    kept = image_gc(engine, tmp_path)
    kept.pulled("a")
    age(tmp_path)

    image_gc(engine, tmp_path).used("a")
    kept.collect()

    assert engine.asked == []


def test_what_was_not_pulled_here_is_none_of_its_business(tmp_path: Path) -> None:
    engine = Engine()
    kept = image_gc(engine, tmp_path)

    kept.used("a")
    kept.collect()

    assert engine.asked == []


@pytest.mark.parametrize("answer", [False, StepFailed("refused")], ids=["a container has it", "refused"])
def test_one_that_cannot_go_is_kept_as_if_it_were_used_and_holds_up_no_other(
    tmp_path: Path, answer: bool | Exception
) -> None:
    engine = Engine(a=answer)
    kept = image_gc(engine, tmp_path)
    kept.pulled("a")
    kept.pulled("b")
    age(tmp_path)

    kept.collect()
    kept.collect()

    assert sorted(engine.asked) == ["a", "b"]


def test_without_a_time_nothing_is_kept_in_mind(tmp_path: Path) -> None:
    kept = image_gc(Engine(), tmp_path, ttl_s=None)

    kept.pulled("a")
    kept.used("a")
    kept.collect()

    assert not (tmp_path / "images").exists()


def test_a_name_that_is_too_long_to_keep_in_mind_does_no_harm(tmp_path: Path) -> None:
    kept = image_gc(Engine(), tmp_path)

    kept.pulled("x" * 1000)
    kept.used("x" * 1000)
    kept.collect()
