"""A key is declared once, in its schema: the definition, the JSON Schema and the responses follow from it."""

import typing
from collections.abc import Mapping
from typing import Any

import pytest
from marshmallow import fields

from scripts.key_tables import own_keys
from tork_celery.api.response_schemas import SCHEMAS as RESPONSES
from tork_celery.api.user_schema import UserSchema
from tork_celery.jobfile import json_schema
from tork_celery.jobfile.decode import read
from tork_celery.jobfile.fields import (
    Boolean,
    BooleanOrNested,
    Duration,
    Expression,
    Integer,
    IntegerList,
    IntegerOrTemplate,
    NestedList,
    Number,
    PublicName,
    Quantity,
    QueueName,
    String,
    StringList,
    StringMap,
)
from tork_celery.jobfile.jobs import JobSchema, ScheduledJobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema, field_names
from tork_celery.jobfile.steps import Script
from tork_celery.jobfile.tasks import TaskSchema

SCHEMAS: list[type[MappingSchema]] = [*json_schema.schemas(), UserSchema]
KEYS = [(schema, key) for schema in SCHEMAS for key in own_keys(schema)]
ALIASES = {"cpu"}
"""Keys that fill the field of another key."""
SYSTEM_FIELDS = {"JobDefinition.hidden", "JobDefinition.schedule", "Schedule.id"}
"""Fields of definitions that no key of the same schema fills."""


TYPES: dict[type, Any] = {
    String: str,
    Script: str,
    Expression: str,
    Duration: str,
    PublicName: str,
    QueueName: str,
    Quantity: str,
    Integer: int,
    IntegerOrTemplate: int | str,
    Number: float,
    Boolean: bool,
    IntegerList: tuple[int, ...],
    StringList: tuple[str, ...],
    StringMap: Mapping[str, str],
}


def definition_type(field: fields.Field[Any]) -> Any:
    """Return the type of a key's value in the definition."""
    if not isinstance(field, fields.Nested):
        return TYPES[type(field)]
    assert isinstance(field.schema, MappingSchema)
    nested: Any = field.schema.definition
    if isinstance(field, BooleanOrNested):
        return bool | nested
    return tuple[nested, ...] if isinstance(field, NestedList) else nested


def title(value: object) -> str:
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("schema", "key"), KEYS, ids=title)
def test_key_has_a_field_of_its_type_in_the_definition(schema: type[MappingSchema], key: str) -> None:
    if key in ALIASES:
        return
    expected = definition_type(json_schema.keys(schema)[key])

    hints = typing.get_type_hints(schema.definition)

    assert hints[field_names(schema.definition)[key]] in (expected, expected | None)


@pytest.mark.parametrize("schema", SCHEMAS, ids=title)
def test_definition_has_no_field_without_a_key(schema: type[MappingSchema]) -> None:
    without_key = field_names(schema.definition).keys() - json_schema.keys(schema).keys()

    assert {f"{schema.definition.__name__}.{key}" for key in without_key} <= SYSTEM_FIELDS


@pytest.mark.parametrize(("schema", "key"), KEYS, ids=title)
def test_key_has_a_description_and_a_valid_example(schema: type[MappingSchema], key: str) -> None:
    field = json_schema.keys(schema)[key]

    assert field.metadata["description"] == json_schema.of_schema(schema)["properties"][key]["description"]
    if example := field.metadata["example"]:
        field.deserialize(read(example.encode(), "text/yaml").value)


@pytest.mark.parametrize(
    ("response", "schema", "hidden"),
    [
        ("TaskResponse", TaskSchema, set()),
        ("JobResponse", JobSchema, {"wait"}),
        ("ScheduledJobResponse", ScheduledJobSchema, {"wait"}),
    ],
)
def test_key_is_in_the_response(response: str, schema: type[MappingSchema], hidden: set[str]) -> None:
    shown = RESPONSES[response]["properties"].keys()
    assert json_schema.keys(schema).keys() - shown == hidden
