"""Random job files, drawn from the JSON Schema outward: mostly valid in form, hostile in content."""

import re
from typing import Any

from hypothesis import strategies as st

from tork_celery.jobfile import json_schema

TASK_TIMEOUT_S = 8
_MAX_ITEMS = 3
_HOSTILE = (
    "",
    "exit 3",
    "sleep 300",
    "kill -9 $$",
    "{{ 1 / 0 }}",
    "{{ inputs.a }}",
    "{{ secrets.a }}",
    '{{ repeat("a", 100000) }}',
    "{{ nothing.at.all }}",
    "{{ unclosed",
    "line\nbreak",
    "nul\0",
    "\u202e🙂é",
    "-1",
    "0",
    "/proc",
    "../../etc/passwd",
    "a" * 300,
)
_USUAL = {
    "image": ("busybox:stable",),
    "run": (
        "echo hello",
        "exit 3",
        "sleep 300",
        "cat /dev/zero | head -c 1000000",
        "echo -n 1 > $TORK_OUTPUT",
    ),
    "list": ("{{ sequence(0, 3) }}", "[1, 'a', nil]", "inputs.a"),
    "if": ("true", "{{ 1 == 2 }}", "inputs.a != ''"),
    "var": ("a", "my-var"),
    "output": ("{{ tasks.a }}", "{{ job.name }}"),
    "cpus": ("0.5", "100m"),
    "memory": ("16m", "1g"),
    "timeout": ("1s", "500ms"),
    "target": ("/data", "/tmp"),
    "path": ("/",),
    "entrypoint": ("sh",),
}
_LEFT_OUT = {
    "queue",
    "wait",
    "retry",
    "schedule",
    "webhooks",
    "registry",
    "permissions",
    "autoDelete",
    "networks",
    "gpus",
}
"""Keys that would make a run wait for others, or for long."""
_COMPOSITES = ("parallel", "each", "subjob")
_OF_A_COMPOSITE = {"name", "description", "var", "if", "tags", *_COMPOSITES}


def job_files() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of jobs whose tasks end within TASK_TIMEOUT_S."""
    schema = json_schema.of_job(image_required=False)
    drawn = _Strategies(schema["$defs"]).of("Job", schema["$defs"]["Job"])
    return drawn.map(lambda job: {**job, "defaults": {"timeout": f"{TASK_TIMEOUT_S}s"}})


class _Strategies:
    """Strategies of values, for the definitions of one JSON Schema."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._known: dict[str, st.SearchStrategy[Any]] = {}

    def of(self, key: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        """Return the values of a key: of the schema's form, or a hostile text of the same type."""
        if "$ref" in schema:
            return self._reference(schema["$ref"].rpartition("/")[2])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kinds = schema.get("type", "string")
        of_kind = {"object": self._object, "array": self._array, "integer": _number, "number": _number}
        strategies = [
            of_kind[kind](key, schema) if kind in of_kind else _text(key, schema)
            for kind in ([kinds] if isinstance(kinds, str) else kinds)
            if kind != "null"
        ]
        return st.booleans() if kinds == "boolean" else st.one_of(strategies)

    def _reference(self, name: str) -> st.SearchStrategy[Any]:
        if name not in self._known:
            made = st.deferred(lambda: self.of(name, self._definitions[name]))
            self._known[name] = made.map(_one_kind) if name in ("Task", "UnnamedTask") else made
        return self._known[name]

    def _array(self, key: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        least = schema.get("minItems", 0)
        return st.lists(self.of(key, schema.get("items", {})), min_size=least, max_size=least + _MAX_ITEMS)

    def _object(self, key: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        properties = schema.get("properties")
        if properties is None:
            return st.dictionaries(st.sampled_from("abA_"), _text(key, {}), max_size=_MAX_ITEMS)
        required = set(schema.get("required", ())) | ({"name", "image", "run"} & properties.keys())
        values = {key: self.of(key, each) for key, each in properties.items() if key not in _LEFT_OUT}
        return st.fixed_dictionaries(
            {key: value for key, value in values.items() if key in required},
            optional={key: _rarely(value) for key, value in values.items() if key not in required},
        ).map(lambda drawn: {key: value for key, value in drawn.items() if value is not _MISSING})


_MISSING = object()


def _rarely(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Leave most optional keys out: of a file with all of them, little is accepted."""
    return st.integers(0, 6).flatmap(lambda number: values if number == 0 else st.just(_MISSING))


def _one_kind(task: dict[str, Any]) -> dict[str, Any]:
    """Make a task either a container or one composite."""
    composite = next((key for key in _COMPOSITES if key in task), None)
    if composite is None:
        return task
    others = {key for key in _COMPOSITES if key != composite}
    return {key: value for key, value in task.items() if key in _OF_A_COMPOSITE - others}


def _number(_key: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.integers(schema.get("minimum", -1), schema.get("maximum", 100))


def _text(key: str, schema: dict[str, Any]) -> st.SearchStrategy[str]:
    patterns = [each["pattern"] for each in (schema, *schema.get("anyOf", ())) if "pattern" in each]
    usual = st.sampled_from(_USUAL.get(key, ("a", "b c")))
    fitting = [st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True) for pattern in patterns]
    unusual = st.one_of(st.sampled_from(_HOSTILE), st.text(max_size=20), *fitting)
    return st.integers(0, 9).flatmap(lambda number: unusual if number == 0 else usual)
