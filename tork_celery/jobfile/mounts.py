"""What is mounted into a task's containers."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError, validate

from tork_celery.domain.definition import Mount
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Text, TextMap
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path

_TYPES = ("volume", "bind", "tmpfs")
_OPTIONS = {"size": validators.size, "mode": validators.file_mode}


def _option(name: str) -> None:
    if name not in _OPTIONS:
        raise ValidationError(f"unknown; a tmpfs has {' and '.join(_OPTIONS)}")


class MountSchema(MappingSchema):
    type = Text(required=True, validate=validate.OneOf(_TYPES, error="expected volume, bind or tmpfs"))
    source = Text(validate=validators.source)
    target = Text(required=True, validate=validators.target)
    opts = TextMap(Text(validate=_option), Text())

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        kind = values["type"]
        if kind == "bind" and "source" not in values:
            yield ("source",), "a mount of type `bind` needs one: the path on the worker's machine"
        if kind != "bind" and "source" in values:
            yield ("source",), f"a mount of type `{kind}` has no source; remove it"
        if kind != "tmpfs" and "opts" in values:
            yield ("opts",), f"a mount of type `{kind}` has none; those of a tmpfs are {', '.join(_OPTIONS)}"
            return
        for name, value in values.get("opts", {}).items():
            try:
                _OPTIONS[name](value)
            except ValidationError as error:
                yield ("opts", name), str(error.messages[0])

    def build(self, values: dict[str, Any]) -> Mount:
        return Mount(**values)
