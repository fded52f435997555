"""What the containers of a task get: limits of CPU and memory, and mounts."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError, validate

from tork_celery.domain.definition import Limits, Mount
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Quantity, String, StringMap, docs
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path

_MOUNT_TYPES = ("volume", "bind", "tmpfs")
_TMPFS_OPTIONS = {"size": validators.size, "mode": validators.file_mode}


class LimitsSchema(MappingSchema):
    definition = Limits

    cpus = Quantity(
        template=True,
        validate=validators.cpus,
        metadata=docs("number of CPUs; fractions are allowed", '"0.5"'),
    )
    cpu = Quantity(template=True, validate=validators.cpus, metadata=docs("another name for `cpus`", "2"))
    memory = Quantity(
        template=True,
        validate=validators.memory,
        metadata=docs(
            "memory including swap, at least `6m`; the units `k`, `m`, `g`, `t` and `p` are powers of 1024, "
            "and a number without a unit is in bytes",
            "500m",
        ),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if "cpu" in values and "cpus" in values:
            yield ("cpu",), "another name for `cpus`, which is also given; remove one"

    def build(self, values: dict[str, Any]) -> Limits:
        cpus = values.pop("cpu", None)
        return Limits(**{"cpus": cpus} | values)


def _check_option(name: str) -> None:
    if name not in _TMPFS_OPTIONS:
        raise ValidationError(f"unknown option; a tmpfs has {' and '.join(_TMPFS_OPTIONS)}")


class MountSchema(MappingSchema):
    definition = Mount

    type = String(
        required=True,
        validate=validate.OneOf(_MOUNT_TYPES, error="expected volume, bind or tmpfs"),
        metadata=docs(
            "`volume`: an empty directory that the steps of the task share, removed after the last step. "
            "`bind`: a file or directory of the worker's machine. `tmpfs`: memory, separate for each step",
            "tmpfs",
        ),
    )
    target = String(
        required=True,
        validate=validators.target,
        metadata=docs("absolute path in the containers; not `/`, not `/tork` or below it", "/data"),
    )
    source = String(
        validate=validators.source,
        metadata=docs("for a `bind`, required: the path on the worker's machine", "/srv/media"),
    )
    opts = StringMap(
        String(validate=_check_option),
        String(),
        metadata=docs(
            "for a `tmpfs`: `size`, written like a memory limit, and `mode`, octal, by default `1777`",
            "{size: 64m}",
        ),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        kind = values["type"]
        if kind == "bind" and "source" not in values:
            yield ("source",), "required for a mount of type `bind`: the path on the worker's machine"
        if kind != "bind" and "source" in values:
            yield ("source",), f"a mount of type `{kind}` has no source; remove it"
        if kind != "tmpfs" and "opts" in values:
            options = ", ".join(_TMPFS_OPTIONS)
            yield ("opts",), f"a mount of type `{kind}` has no options; a tmpfs has {options}"
            return
        for name, value in values.get("opts", {}).items():
            try:
                _TMPFS_OPTIONS[name](value)
            except ValidationError as error:
                yield ("opts", name), str(error.messages[0])
