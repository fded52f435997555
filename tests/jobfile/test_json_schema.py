"""The JSON Schema of job files accepts what the parser accepts, and refuses most of what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from tork_celery import jobfile
from tork_celery.cli.commands.schema import schema
from tork_celery.domain.errors import InvalidInput
from tork_celery.jobfile import json_schema

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema.of_job())
TASK: dict[str, Any] = {"name": "t", "image": "busybox"}
INVALID: dict[str, dict[str, Any]] = {
    "an unknown key": {"tasks": [TASK | {"imagee": "x"}]},
    "a missing name": {"name": None, "tasks": [TASK]},
    "an empty list of tasks": {"tasks": []},
    "a string for tasks": {"tasks": "t"},
    "a string for a task": {"tasks": ["t"]},
    "a task without an image": {"tasks": [{"name": "t"}]},
    "a step without an image": {"tasks": [TASK | {"pre": [{"run": "x"}]}]},
    "a name of 257 characters": {"name": "x" * 257, "tasks": [TASK]},
    "a list for a string": {"description": [1], "tasks": [TASK]},
    "a string for a list": {"tags": "a", "tasks": [TASK]},
    "an empty tag": {"tags": [""], "tasks": [TASK]},
    "a list for an input": {"inputs": {"a": [1]}, "tasks": [TASK]},
    "null for a tag": {"tags": [None], "tasks": [TASK]},
    "a priority above 9": {"tasks": [TASK | {"priority": 10}]},
    "a string for a priority": {"tasks": [TASK | {"priority": "high"}]},
    "a timeout without a unit": {"tasks": [TASK | {"timeout": "5"}]},
    "a timeout with a sign": {"tasks": [TASK | {"timeout": "+5s"}]},
    "a queue with a space": {"tasks": [TASK | {"queue": "a b"}]},
    "a dash in the variable of an item": {
        "tasks": [{"name": "t", "each": {"list": "[1]", "var": "a-b", "task": {"image": "busybox"}}}]
    },
    "11 retries": {"tasks": [TASK | {"retry": {"limit": 11}}]},
    "an unknown type of mount": {"tasks": [TASK | {"mounts": [{"type": "nfs", "target": "/a"}]}]},
    "a mount without a target": {"tasks": [TASK | {"mounts": [{"type": "volume"}]}]},
    "a relative path of a volume": {"tasks": [TASK | {"volumes": ["a"]}]},
    "a port above 65535": {
        "tasks": [TASK | {"sidecars": [TASK | {"probe": {"path": "/", "port": 65536}}]}],
    },
    "an each without a list": {"tasks": [{"name": "t", "each": {"task": TASK}}]},
    "a parallel without tasks": {"tasks": [{"name": "t", "parallel": {"tasks": []}}]},
    "a subjob without a name": {"tasks": [{"name": "t", "subjob": {"tasks": [TASK]}}]},
    "a name of an input that is too long": {
        "tasks": [{"name": "t", "subjob": {"name": "s", "tasks": [TASK], "inputs": {"x" * 257: ""}}}],
    },
    "a string for a boolean": {
        "tasks": [{"name": "t", "subjob": {"name": "s", "tasks": [TASK], "detached": "yes"}}],
    },
    "an unknown event": {"webhooks": [{"url": "http://a", "event": "x"}], "tasks": [TASK]},
    "an FTP URL": {"webhooks": [{"url": "ftp://a"}], "tasks": [TASK]},
    "a wait without a timeout": {"wait": {}, "tasks": [TASK]},
    "a default priority below 0": {"defaults": {"priority": -1}, "tasks": [TASK]},
}
VALID: dict[str, dict[str, Any]] = {
    "templates": {
        "tasks": [TASK | {"priority": "{{ 1 }}", "timeout": "{{ inputs.t }}", "queue": "{{ inputs.q }}"}],
    },
    "numbers, booleans and null for strings": {
        "name": 2024,
        "description": 1.5,
        "tags": [1, True],
        "inputs": {"a": 1, "b": None},
        "tasks": [
            TASK
            | {
                "if": False,
                "cmd": [1, True, None],
                "env": {"A": 1, "B": None},
                "files": {"a": 1},
                "pre": [TASK | {"run": 5}],
                "gpus": 1,
            }
        ],
    },
    "numbers for limits": {"tasks": [TASK | {"limits": {"cpus": 0.5, "memory": "1g"}}]},
    "a fraction as a factor": {"tasks": [TASK | {"retry": {"limit": 1, "scalingFactor": 1.5}}]},
    "an unnamed task in parallel": {"tasks": [{"name": "t", "parallel": {"tasks": [{"image": "busybox"}]}}]},
    "an unnamed task in each": {
        "tasks": [{"name": "t", "each": {"list": "[1]", "task": {"image": "busybox"}}}]
    },
    "a var with a dash": {"tasks": [TASK | {"var": "a-b"}]},
    "durations": {"tasks": [TASK | {"timeout": "1h2m3.5s"}], "wait": {"timeout": ".5s"}},
}


def parse(document: Any) -> object:
    return jobfile.parse_job(json.dumps(document).encode(), "application/json")


def test_schema_is_valid() -> None:
    Draft202012Validator.check_schema(json_schema.of_job())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_schema_accepts_the_examples(example: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(example.read_text()))


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_schema_and_parser_accept(document: dict[str, Any]) -> None:
    VALIDATOR.validate({"name": "j"} | document)
    assert parse({"name": "j"} | document)


@pytest.mark.parametrize("document", INVALID.values(), ids=INVALID)
def test_schema_and_parser_refuse(document: dict[str, Any]) -> None:
    whole = {"name": "j"} | document

    assert not VALIDATOR.is_valid(whole)
    with pytest.raises(InvalidInput):
        parse(whole)


def test_image_is_optional_for_the_shell_runtime() -> None:
    document = {"name": "j", "tasks": [{"name": "t", "run": "true"}]}

    assert Draft202012Validator(json_schema.of_job(image_required=False)).is_valid(document)


def test_properties_have_the_description_of_their_key() -> None:
    properties = json_schema.of_job()["$defs"]["Task"]["properties"]
    assert properties["priority"]["description"].startswith("order in the queue")
    assert properties["cmd"]["description"].startswith("command for `entrypoint`")  # inherited from a step


def test_schema_command_prints_the_schema() -> None:
    printed = CliRunner().invoke(schema)

    assert printed.exit_code == 0
    assert json.loads(printed.output) == json_schema.of_job()
