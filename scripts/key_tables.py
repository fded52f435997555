"""Write the tables of keys in docs/job-file.md from the schemas: `python -m scripts.key_tables`."""

import re
from functools import singledispatch
from pathlib import Path
from typing import Any, cast

from marshmallow import fields, validate

from tork_celery.jobfile import json_schema
from tork_celery.jobfile.fields import (
    Boolean,
    BooleanOrNested,
    Duration,
    Expression,
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
from tork_celery.jobfile.mapping_schema import MappingSchema

TARGET = Path(__file__).parent.parent / "docs" / "job-file.md"
_HEADER = "| key | type | meaning | example |\n|---|---|---|---|\n"
_TABLE = re.compile(r"(?:\|.*\n)+")
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


def updated(page: str) -> str:
    """Return the page with the table of each schema rendered anew, below the heading of the schema.

    Raises ValueError for a schema without a heading and a table.
    """
    for schema in documented_schemas():
        heading = f"## {title(schema)}"
        section = re.search(rf"^{heading}\n(?:(?!## ).*\n)*?(?={re.escape(_HEADER)})", page, re.MULTILINE)
        if section is None:
            raise ValueError(f"no table below the heading `{heading}`")
        rest = page[section.end() :]
        page = page[: section.end()] + table(schema) + _TABLE.sub("", rest, count=1)
    return page


def documented_schemas() -> list[type[MappingSchema]]:
    """Return the schemas that have a section. A private schema only varies a public one."""
    return [schema for schema in json_schema.schemas() if not schema.__name__.startswith("_")]


def title(schema: type[MappingSchema]) -> str:
    """Return the heading of a schema's section: `Scheduled job` for ScheduledJobSchema."""
    return _WORD_START.sub(" ", json_schema.name_of(schema)).capitalize()


def table(schema: type[MappingSchema]) -> str:
    return _HEADER + "".join(map(_row, own_keys(schema), own_keys(schema).values()))


def own_keys(schema: type[MappingSchema]) -> dict[str, fields.Field[Any]]:
    """Return the keys that a schema declares itself, without those of the schema that it extends."""
    inherited = json_schema.keys(cast(type[MappingSchema], schema.__mro__[1]))
    return {
        key: field
        for key, field in json_schema.keys(schema).items()
        if key not in inherited or field.metadata is not inherited[key].metadata
    }


def _row(key: str, field: fields.Field[Any]) -> str:
    required = ", required" if field.required else ""
    example = field.metadata["example"]
    shown = f"`{key}: {example}`" if example else ""
    cells = (f"`{key}`", _type(field) + required, field.metadata["description"], shown)
    return "| " + " | ".join(cells).rstrip() + " |\n"


@singledispatch
def _type(field: fields.Field[Any]) -> str:
    raise TypeError(f"no name in the docs for the field class {type(field).__name__}")


@_type.register
def _(field: String) -> str:
    return _string(field)


@_type.register(Expression)
@_type.register(Duration)
def _(field: String) -> str:
    name = type(field).__name__.lower()
    return f"[{name}](#{name}s)"


@_type.register
def _(field: Quantity) -> str:
    del field
    return "string or number"


@_type.register(Integer)
@_type.register(Number)
def _(field: fields.Field[Any]) -> str:
    [allowed] = [each for each in field.validators if isinstance(each, validate.Range)]
    return f"{allowed.min:,} to {allowed.max:,}"


@_type.register
def _(field: IntegerOrTemplate) -> str:
    return f"{_type.dispatch(Integer)(field)}, or a [template](#expressions)"


@_type.register
def _(field: Boolean) -> str:
    del field
    return "true or false"


@_type.register
def _(field: StringList) -> str:
    return f"list of {_string(cast(String, field.inner), plural='s')}"


@_type.register
def _(field: IntegerList) -> str:
    return f"list of numbers, {_type(field.inner)}"


@_type.register
def _(field: StringMap) -> str:
    return f"map of {_string(cast(String, field.value_field), plural='s')}"


@_type.register
def _(field: Nested) -> str:
    return _link(field)


@_type.register
def _(field: BooleanOrNested) -> str:
    return f"true or false, or {_link(field)}"


@_type.register
def _(field: NestedList) -> str:
    return f"list of {_link(field, plural='s')}"


def _string(field: String, *, plural: str = "") -> str:
    return f"[template{plural}](#expressions)" if field.template else f"string{plural}"


def _link(field: fields.Nested, *, plural: str = "") -> str:
    schemas = cast(list[type[MappingSchema]], type(field.schema).__mro__)
    name = title(next(schema for schema in schemas if schema in documented_schemas())).lower()
    return f"[{name}{plural}](#{name.replace(' ', '-')})"


if __name__ == "__main__":
    TARGET.write_text(updated(TARGET.read_text()))
