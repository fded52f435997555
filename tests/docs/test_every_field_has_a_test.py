"""Every field of job files and answers has a test that sees its effect; `field_tests` says which."""

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.documents import ROOT
from tests.docs.field_tests import TESTS
from tork_celery.api.response_schemas import SCHEMAS
from tork_celery.jobfile import json_schema
from tork_celery.jobfile.jobs import JobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.steps import StepSchema
from tork_celery.jobfile.users import UserSchema

SHAPES = {json_schema.name_of(shape): shape for shape in json_schema.shapes()} | {"User": UserSchema}


def own_keys(shape: type[MappingSchema]) -> list[str]:
    """Without those that are a job's or a step's, whose tests hold for them too."""
    shared = [
        field
        for other in (JobSchema, StepSchema)
        if shape is not other
        for field in other._declared_fields.values()
    ]
    declared = shape._declared_fields.items()
    return [field.data_key or name for name, field in declared if not any(field is each for each in shared)]


def fields() -> Iterator[str]:
    for name, shape in SHAPES.items():
        if not shape.__name__.startswith("_"):
            yield from (f"{name}.{key}" for key in own_keys(shape))
    for name, schema in SCHEMAS.items():
        of_summary = SCHEMAS.get(name.replace("Answer", "Summary"), {}) if name.endswith("Answer") else {}
        of_summary = of_summary.get("properties", {})
        yield from (f"{name}.{key}" for key in schema["properties"] if key not in of_summary)


TABLE = {field: test for test, names in TESTS.items() for field in names.split()}


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_field_has_one() -> None:
    assert set(fields()) - set(TABLE) == set()


def test_no_entry_is_of_a_field_that_there_is_not() -> None:
    assert set(TABLE) - set(fields()) == set()


@pytest.mark.parametrize("test", TESTS)
def test_the_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(path)
