"""A step: what runs in one container."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from tork_celery.domain.model import StepDefinition
from tork_celery.spec import rules
from tork_celery.spec.fields import Text, TextMap, Texts, at_most
from tork_celery.spec.shape import Shape
from tork_celery.spec.source import Path
from tork_celery.spec.texts import shown


class StepSchema(Shape):
    """A `pre` or `post` step, and what a task has in common with them."""

    name = Text(validate=at_most(rules.LONGEST_NAME))
    description = Text(one_line=False)
    image = Text(validate=at_most(1024))
    run = Text(one_line=False)
    cmd = Texts(Text(one_line=False))
    entrypoint = Texts(Text(one_line=False))
    env = TextMap(Text(validate=(at_most(rules.LONGEST_NAME), rules.env_name)), Text(one_line=False))
    files = TextMap(Text(validate=(at_most(rules.LONGEST_NAME), rules.file_name)), Text(one_line=False))
    timeout = Text(validate=rules.duration, hint="write it like 90s or 1h30m")

    def requires(self, data: Mapping[str, Any]) -> Iterable[str]:
        yield from super().requires(data)
        if self.image_required:
            yield "image"

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        files = values.get("files", {})
        for name in files:
            for parent in map(str, PurePosixPath(name).parents):
                if parent in files:
                    yield ("files", name), f"{shown(parent)} is a file, so nothing can be in it"

    def build(self, values: dict[str, Any]) -> StepDefinition:
        return StepDefinition(**values)
