"""The keys of a task that are declared as templates are rendered when the task starts."""

import json
from typing import Any, cast

from marshmallow import fields

from tests.expr.hosts import HOST
from tork_celery.domain.codec import encode
from tork_celery.domain.evaluation import Evaluator, evaluated_task
from tork_celery.expr import Budget
from tork_celery.jobfile import json_schema
from tork_celery.jobfile.fields import IntegerOrTemplate, NestedList, String, StringList, StringMap
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.tasks import TaskSchema

VALUES = {"timeout": "5s", "priority": "7", "cpus": "1", "memory": "16m"}
"""Values of the keys that do not accept every string."""
SKIPPED = {"parallel", "each", "subjob", "cpu"}
"""Composites, whose children are rendered when they start, and the alias of `cpus`."""


def is_template(field: fields.Field[Any]) -> bool:
    return isinstance(field, IntegerOrTemplate) or (isinstance(field, String) and field.template)


def templates(schema: type[MappingSchema]) -> dict[str, Any]:
    """Return a document in which every template of a schema is an expression."""
    document = {
        key: value(field, f"{{{{ '{VALUES.get(key, 'x')}' }}}}")
        for key, field in json_schema.keys(schema).items()
        if key not in SKIPPED
    }
    return {key: value for key, value in document.items() if value}


def value(field: fields.Field[Any], expression: str) -> Any:
    """Return a value of expressions only, or None for a field without templates."""
    if isinstance(field, fields.Nested):
        nested = templates(cast(type[MappingSchema], type(field.schema)))
        return [nested] if nested and isinstance(field, NestedList) else nested
    if isinstance(field, StringList):
        return [expression] if is_template(field.inner) else None
    if isinstance(field, StringMap):
        return {"A": expression} if is_template(cast(String, field.value_field)) else None
    return expression if is_template(field) else None


def test_all_templates_of_a_task_are_rendered() -> None:
    document = templates(TaskSchema)
    definition = TaskSchema().load(document)

    rendered = evaluated_task(definition, None, Evaluator({}, HOST, Budget(10_000), str))

    assert {"name", "env", "registry", "pre", "sidecars", "priority"} <= document.keys()
    assert "{{" not in json.dumps(encode(rendered))
    assert encode(rendered)["limits"] == {"cpus": "1", "memory": "16m"}
