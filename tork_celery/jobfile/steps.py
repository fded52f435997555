"""A step: what runs in one container."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from marshmallow import validate

from tork_celery.domain.definition import Probe, Registry, Sidecar, StepDefinition
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Block, Duration, Text, TextMap, Texts, Whole, at_most
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path
from tork_celery.jobfile.texts import shown


class RegistrySchema(MappingSchema):
    username = Text(required=True, template=True)
    password = Text(required=True, template=True)

    def build(self, values: dict[str, Any]) -> Registry:
        return Registry(**values)


class StepSchema(MappingSchema):
    """A `pre` or `post` step, and what a task has in common with them."""

    name = Text(template=True, validate=at_most(LONGEST_NAME))
    description = Text(one_line=False)
    image = Text(template=True, validate=at_most(1024))
    run = Text(one_line=False)
    cmd = Texts(Text(template=True, one_line=False))
    entrypoint = Texts(Text(one_line=False))
    env = TextMap(
        Text(validate=(at_most(LONGEST_NAME), validators.env_name)), Text(template=True, one_line=False)
    )
    files = TextMap(Text(validate=(at_most(LONGEST_NAME), validators.file_name)), Text(one_line=False))
    registry = Block(RegistrySchema)
    timeout = Duration(template=True)

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


class ProbeSchema(MappingSchema):
    path = Text(required=True, validate=validators.url_path)
    port = Whole(required=True, validate=validate.Range(1, 65535, error="must be from 1 to 65535"))
    timeout = Duration()

    def build(self, values: dict[str, Any]) -> Probe:
        return Probe(**values)


class SidecarSchema(StepSchema):
    """A container beside the main step, which reaches it by its name."""

    name = Text(required=True, template=True, validate=at_most(LONGEST_NAME))
    probe = Block(ProbeSchema)

    def build(self, values: dict[str, Any]) -> Sidecar:
        return Sidecar(**values)
