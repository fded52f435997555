"""The schemas of the job file as JSON Schema (2020-12), for editors and for the API's description.

The JSON Schema covers keys, types, ranges and patterns. Only the parser evaluates expressions and compares
values with each other.
"""

from collections.abc import Iterator
from functools import singledispatch
from typing import Any, cast

from marshmallow import fields, validate

from tork_celery.domain.codec import Document
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import (
    Boolean,
    BooleanOrNested,
    Integer,
    IntegerList,
    IntegerOrTemplate,
    Nested,
    NestedList,
    Number,
    Quantity,
    String,
    StringList,
    StringMap,
)
from tork_celery.jobfile.jobs import JobSchema, ScheduledJobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.steps import StepSchema
from tork_celery.jobfile.tasks import TaskSchema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS = "#/$defs/"
_TEMPLATE = {"pattern": r"\{\{"}
_WRITTEN_TYPES = ("string", "number", "boolean")
"""The types of values that count as strings. In lists and maps null does, too."""
_BY_VALIDATOR: dict[object, Document] = {
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
    """Return the schema of a job file, which holds a job or, as `tork-celery run` accepts it, a task."""
    return {
        "$schema": _DIALECT,
        "title": "A job or a task",
        "if": {"required": ["tasks"]},
        "then": {"$ref": _DEFINITIONS + "Job"},
        "else": {"$ref": _DEFINITIONS + "Task"},
        "$defs": definitions(image_required=image_required),
    }


def definitions(*, image_required: bool = True) -> dict[str, Document]:
    """Return the schemas of all mappings in a job file by name. References are `#/$defs/NAME`."""
    return {name_of(schema): of_schema(schema, image_required=image_required) for schema in schemas()}


def of_schema(schema: type[MappingSchema], *, image_required: bool = False) -> Document:
    """Return the schema of one mapping."""
    declared = keys(schema)
    properties = {key: _of_field(field) | _description(field) for key, field in declared.items()}
    required = [key for key, field in declared.items() if field.required]
    document: Document = {"type": "object", "properties": properties, "additionalProperties": False}
    if issubclass(schema, StepSchema) and image_required:
        alternatives = ["image", *(key for key in ("parallel", "each", "subjob") if key in properties)]
        document["anyOf"] = [{"required": [key]} for key in alternatives]
    return document | ({"required": required} if required else {})


def of_responses(schema: type[MappingSchema]) -> dict[str, Document]:
    """Return the properties that the keys of a schema are in a response.

    A property has the type of its key but none of its checks: templates may be evaluated, and secrets masked.
    """
    return {key: _type_only(_of_field(field)) | _description(field) for key, field in keys(schema).items()}


def schemas() -> list[type[MappingSchema]]:
    """Return the schemas of all mappings in a job file, sorted by name."""
    found = set[type[MappingSchema]]()
    waiting: list[type[MappingSchema]] = [JobSchema, TaskSchema, ScheduledJobSchema]
    while waiting:
        schema = waiting.pop()
        if schema not in found:
            found.add(schema)
            waiting += _nested_schemas(schema)
    return sorted(found, key=name_of)


def name_of(schema: type[MappingSchema]) -> str:
    return schema.__name__.removeprefix("_").removesuffix("Schema")


def keys(schema: type[MappingSchema]) -> dict[str, fields.Field[Any]]:
    """Return the fields of a schema by their keys in a file."""
    return {field.data_key or name: field for name, field in schema().load_fields.items()}


def _nested_schemas(schema: type[MappingSchema]) -> Iterator[type[MappingSchema]]:
    for field in keys(schema).values():
        if isinstance(field, fields.Nested):
            yield cast(type[MappingSchema], type(field.schema))


def _description(field: fields.Field[Any]) -> Document:
    return {"description": field.metadata["description"]}


def _type_only(document: Document) -> Document:
    """Return the schema without checks, and of mappings with a schema only that they are objects.

    What may be written as a number or a boolean is a string in a response.
    """
    if "$ref" in document:
        return {"type": "object"}
    if "type" not in document:
        return {"type": [alternative.get("type", "object") for alternative in document["anyOf"]]}
    if isinstance(document["type"], list):
        return {"type": "string"}
    parts = {key: _type_only(document[key]) for key in ("items", "additionalProperties") if key in document}
    return {"type": document["type"]} | parts


@singledispatch
def _of_field(field: fields.Field[Any]) -> Document:
    raise TypeError(f"no JSON Schema for the field class {type(field).__name__}")


@_of_field.register
def _(field: String) -> Document:
    return _string(field)


@_of_field.register
def _(field: Quantity) -> Document:
    del field
    return {"type": ["string", "number"]}


@_of_field.register
def _(field: Integer) -> Document:
    return {"type": "integer"} | _checks(field)


@_of_field.register
def _(field: IntegerOrTemplate) -> Document:
    return {"anyOf": [{"type": "integer"} | _checks(field), {"type": "string"} | _TEMPLATE]}


@_of_field.register
def _(field: Number) -> Document:
    return {"type": "number"} | _checks(field)


@_of_field.register
def _(field: Boolean) -> Document:
    del field
    return {"type": "boolean"}


@_of_field.register
def _(field: StringList) -> Document:
    return {"type": "array", "items": _string(cast(String, field.inner), nullable=True)}


@_of_field.register
def _(field: IntegerList) -> Document:
    return {"type": "array", "items": _of_field(field.inner)}


@_of_field.register
def _(field: StringMap) -> Document:
    names, values = cast(String, field.key_field), cast(String, field.value_field)
    name_checks = _checks(names)
    document: Document = {"type": "object", "additionalProperties": _string(values, nullable=True)}
    return document | ({"propertyNames": name_checks} if name_checks else {})


@_of_field.register
def _(field: Nested) -> Document:
    return {"$ref": _DEFINITIONS + name_of(cast(type[MappingSchema], type(field.schema)))}


@_of_field.register
def _(field: BooleanOrNested) -> Document:
    return {"anyOf": [{"type": "boolean"}, _of_field.dispatch(Nested)(field)]}


@_of_field.register
def _(field: NestedList) -> Document:
    document: Document = {
        "type": "array",
        "items": {"$ref": _DEFINITIONS + name_of(cast(type[MappingSchema], type(field.schema)))},
    }
    if field.min_items:
        document["minItems"] = field.min_items
    return document | ({} if field.max_items is None else {"maxItems": field.max_items})


def _string(field: String, *, nullable: bool = False) -> Document:
    """Return the schema of a string. Where a pattern is checked, it takes no number: few would match."""
    checks = _checks(field, template=field.template)
    if checks.keys() & {"pattern", "enum", "anyOf"}:
        return {"type": "string"} | checks
    nothing = ("null",) if nullable and "minLength" not in checks else ()
    return {"type": [*_WRITTEN_TYPES, *nothing]} | checks


def _checks(field: fields.Field[Any], *, template: bool = False) -> Document:
    """Return what the validators require. The text of a template only has to be one."""
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
    return _BY_VALIDATOR.get(validator, {})
