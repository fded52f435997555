"""The shapes of a job file as JSON Schema (2020-12), for editors and for the API's own description.

It says what can be said there: keys, types, ranges, names. What needs an evaluation or a comparison of two
values is left to the parser.
"""

import json
from collections.abc import Iterator
from functools import cache, singledispatch
from importlib.resources import files
from typing import Any, cast

from marshmallow import fields, validate

from tork_celery.domain.codec import Document
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import (
    Amount,
    Block,
    Flag,
    Items,
    Number,
    Text,
    TextMap,
    Texts,
    Whole,
    WholeOrTemplate,
)
from tork_celery.jobfile.jobs import JobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.scheduled_jobs import ScheduledJobSchema
from tork_celery.jobfile.steps import StepSchema
from tork_celery.jobfile.tasks import TaskSchema
from tork_celery.jobfile.users import UserSchema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/"
_TEMPLATE = {"pattern": r"\{\{"}
_BY_RULE: dict[object, Document] = {
    validators.not_empty: {"minLength": 1},
    validators.duration: {"pattern": r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$"},
    validators.identifier: {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    validators.queue: {"pattern": "^[A-Za-z0-9._-]{1,128}$"},
    validators.url: {"pattern": "^https?://"},
    validators.url_path: {"pattern": "^/"},
    validators.target: {"pattern": "^/"},
    validators.source: {"pattern": "^/"},
}


def of_job(*, image_required: bool = True) -> Document:
    """The schema of a job file that holds a job or, as `tork-celery run` takes it, a task."""
    return {
        "$schema": _DIALECT,
        "title": "A job or a task",
        "if": {"required": ["tasks"]},
        "then": {"$ref": _DEFINITIONS + "Job"},
        "else": {"$ref": _DEFINITIONS + "Task"},
        "$defs": definitions(image_required=image_required),
    }


def definitions(*, image_required: bool = True) -> dict[str, Document]:
    """The schemas of a job and of all that can be in it, by name. They refer to each other in `#/$defs/`."""
    return {name_of(shape): _of_shape(shape, image_required=image_required) for shape in shapes()}


def shapes() -> list[type[MappingSchema]]:
    """All that there are of a job file."""
    found = set[type[MappingSchema]]()
    waiting: list[type[MappingSchema]] = [JobSchema, TaskSchema, ScheduledJobSchema]
    while waiting:
        shape = waiting.pop()
        if shape not in found:
            found.add(shape)
            waiting += _inner_shapes(shape)
    return sorted(found, key=name_of)


def of_user() -> Document:
    return _of_shape(UserSchema, image_required=False)


def name_of(shape: type[MappingSchema]) -> str:
    return shape.__name__.removeprefix("_").removesuffix("Schema")


def keys(shape: type[MappingSchema]) -> dict[str, fields.Field[Any]]:
    """The fields of a shape by their keys in a file."""
    return {field.data_key or name: field for name, field in shape().load_fields.items()}


def _of_shape(shape: type[MappingSchema], *, image_required: bool) -> Document:
    properties = {key: _of_field(field) | _described(shape, key) for key, field in keys(shape).items()}
    required = [key for key, field in keys(shape).items() if field.required]
    schema: Document = {"type": "object", "properties": properties, "additionalProperties": False}
    if issubclass(shape, StepSchema) and image_required:
        alternatives = ["image", *(key for key in ("parallel", "each", "subjob") if key in properties)]
        schema["anyOf"] = [{"required": [key]} for key in alternatives]
    return schema | ({"required": required} if required else {})


def _inner_shapes(shape: type[MappingSchema]) -> Iterator[type[MappingSchema]]:
    for field in keys(shape).values():
        if isinstance(field, fields.Nested):
            yield cast(type[MappingSchema], type(field.schema))


def _described(shape: type[MappingSchema], key: str) -> Document:
    for each in shape.__mro__:
        if text := _descriptions().get(name_of(each), {}).get(key):
            return {"description": text}
    return {}


@cache
def _descriptions() -> dict[str, dict[str, str]]:
    """What docs/job-file.md says of each key; `python -m scripts.descriptions` makes the file."""
    text = (files("tork_celery.jobfile") / "descriptions.json").read_text("utf-8")
    return cast(dict[str, dict[str, str]], json.loads(text))


@singledispatch
def _of_field(field: fields.Field[Any]) -> Document:
    raise TypeError(f"there is no schema for {type(field).__name__}")


@_of_field.register
def _(field: Text) -> Document:
    return {"type": "string"} | _checked(field, template=field.template)


@_of_field.register
def _(field: Amount) -> Document:
    del field
    return {"type": ["string", "number"]}


@_of_field.register
def _(field: Whole) -> Document:
    return {"type": "integer"} | _checked(field)


@_of_field.register
def _(field: WholeOrTemplate) -> Document:
    return {"anyOf": [{"type": "integer"} | _checked(field), {"type": "string"} | _TEMPLATE]}


@_of_field.register
def _(field: Number) -> Document:
    return {"type": "number"} | _checked(field)


@_of_field.register
def _(field: Flag) -> Document:
    del field
    return {"type": "boolean"}


@_of_field.register
def _(field: Texts) -> Document:
    return {"type": "array", "items": _of_field(field.inner)}


@_of_field.register
def _(field: TextMap) -> Document:
    names, values = cast(Text, field.key_field), cast(Text, field.value_field)
    named = _of_field(names)
    del named["type"]
    schema: Document = {"type": "object", "additionalProperties": _of_field(values)}
    return schema | ({"propertyNames": named} if named else {})


@_of_field.register
def _(field: Block) -> Document:
    return {"$ref": _DEFINITIONS + name_of(cast(type[MappingSchema], type(field.schema)))}


@_of_field.register
def _(field: Items) -> Document:
    schema: Document = {
        "type": "array",
        "items": {"$ref": _DEFINITIONS + name_of(cast(type[MappingSchema], type(field.schema)))},
    }
    if field.least:
        schema["minItems"] = field.least
    return schema | ({} if field.most is None else {"maxItems": field.most})


def _checked(field: fields.Field[Any], *, template: bool = False) -> Document:
    """What the validators of a field ask; of a template, only where it is none."""
    checks: Document = {}
    for validator in field.validators:
        checks |= _of_validator(validator)
    if template and "pattern" in checks:
        return {"anyOf": [checks, _TEMPLATE]}
    return {} if template else checks


def _of_validator(validator: object) -> Document:
    if isinstance(validator, validate.Length) and validator.max is not None:
        return {"maxLength": validator.max}
    if isinstance(validator, validate.OneOf):
        return {"enum": list(validator.choices)}
    if isinstance(validator, validate.Range):
        return {"minimum": validator.min, "maximum": validator.max}
    return _BY_RULE.get(validator, {})
