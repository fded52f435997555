"""A step: one container to run. Tasks and sidecars extend it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from marshmallow import validate

from tork_celery.domain.definition import Probe, Registry, Sidecar, StepDefinition
from tork_celery.domain.identifiers import LONGEST_IMAGE, LONGEST_NAME
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import (
    Duration,
    Integer,
    Nested,
    String,
    StringList,
    StringMap,
    docs,
    max_length,
)
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path, quote


class Script(String):
    """A script. Its line ends are LF, as in YAML: CRLF is converted."""

    def read(self, value: Any) -> str:
        return super().read(value).replace("\r\n", "\n")


class RegistrySchema(MappingSchema):
    definition = Registry

    username = String(required=True, template=True, metadata=docs("user of the registry", "builder"))
    password = String(required=True, template=True, metadata=docs("password or token", "change-me"))


class StepSchema(MappingSchema):
    """A `pre` or `post` step, and the keys that tasks and sidecars share with it."""

    definition = StepDefinition

    name = String(
        template=True,
        validate=max_length(LONGEST_NAME),
        metadata=docs("name, as Flower shows it; 256 characters at most", "download"),
    )
    description = String(one_line=False, metadata=docs("description for people", "from the mirror"))
    image = String(
        template=True,
        validate=max_length(LONGEST_IMAGE),
        metadata=docs(
            "image; required, except for the shell runtime and for composites; pulled if the engine does not "
            "have it",
            '"alpine:3.18.3"',
        ),
    )
    run = Script(
        one_line=False,
        metadata=docs(
            "script; it is written to the file `/tork/entrypoint`, whose path is appended to `entrypoint`. A "
            "first line such as `#!/usr/bin/env python3` names its interpreter",
            "echo hello",
        ),
    )
    cmd = StringList(
        String(template=True, one_line=False),
        metadata=docs(
            "command for `entrypoint`, by default for that of the image; beside `run`, the arguments of the "
            "script",
            "[echo, hello]",
        ),
    )
    entrypoint = StringList(
        String(one_line=False),
        metadata=docs(
            "program that runs `run` or `cmd`; by default `[sh, -c]` for `run`, otherwise that of the image",
            "[python3]",
        ),
    )
    env = StringMap(
        String(validate=(max_length(LONGEST_NAME), validators.env_name)),
        String(template=True, one_line=False),
        metadata=docs("environment variables", "{LANG: C}"),
    )
    files = StringMap(
        String(validate=(max_length(LONGEST_NAME), validators.file_name)),
        String(one_line=False),
        metadata=docs("files of the work directory: contents by relative path", '{conf/app.ini: "a = 1"}'),
    )
    registry = Nested(
        RegistrySchema,
        metadata=docs("credentials to pull the image with", "{username: builder, password: change-me}"),
    )
    timeout = Duration(
        template=True,
        metadata=docs(
            "time limit. Of a step: from the start of its container. Of a task: from the start of its first "
            "container to the end of its last",
            "30s",
        ),
    )

    def requires(self, data: Mapping[str, Any]) -> Iterable[str]:
        yield from super().requires(data)
        if self.image_required:
            yield "image"

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        files = values.get("files", {})
        for name in files:
            for parent in map(str, PurePosixPath(name).parents):
                if parent in files:
                    yield ("files", name), f"{quote(parent)} is a file, so it cannot contain another"


class ProbeSchema(MappingSchema):
    definition = Probe

    path = String(
        required=True, validate=validators.url_path, metadata=docs("path of the GET request", "/health")
    )
    port = Integer(
        required=True,
        validate=validate.Range(1, 65535, error="must be from 1 to 65535"),
        metadata=docs("port at which the sidecar listens", "8080"),
    )
    timeout = Duration(metadata=docs("time in which the sidecar must pass the probe, by default `1m`", "20s"))


class SidecarSchema(StepSchema):
    """A container that runs beside the main step."""

    definition = Sidecar

    name = String(
        required=True,
        template=True,
        validate=max_length(LONGEST_NAME),
        metadata=docs(
            "name. The host name is the name in lower case, with `-` in place of every character but `a` to "
            "`z`, digits and `_`: `My DB` is reached at `my-db`",
            "db",
        ),
    )
    probe = Nested(
        ProbeSchema,
        metadata=docs(
            "HTTP request that shows that the sidecar is ready; without it, the main step does not wait",
            "{path: /health, port: 8080}",
        ),
    )
