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

_TEMPLATES = ("name", "image", "queue", "timeout")


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
        yield from _expressions(values)
        files = values.get("files", {})
        for name in files:
            for parent in map(str, PurePosixPath(name).parents):
                if parent in files:
                    yield ("files", name), f"{shown(parent)} is a file, so nothing can be in it"

    def build(self, values: dict[str, Any]) -> StepDefinition:
        return StepDefinition(**values)


def _expressions(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Where an expression stands that would be evaluated: refused while it is not, for what would run instead
    is its text."""
    places: list[tuple[Path, Any]] = [((key,), values.get(key)) for key in _TEMPLATES]
    places += [(("cmd", index), text) for index, text in enumerate(values.get("cmd", ()))]
    places += [(("env", key), text) for key, text in values.get("env", {}).items()]
    for path, text in places:
        if isinstance(text, str) and "{{" in text:
            yield path, "expressions ({{ ... }}) are not evaluated yet"
