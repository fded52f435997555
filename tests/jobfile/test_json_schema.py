"""The JSON Schema of job files takes what the parser takes, and says what is wrong as far as it can."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from scripts import descriptions
from tork_celery import jobfile
from tork_celery.cli.main import cli
from tork_celery.domain.errors import InvalidInput
from tork_celery.jobfile import json_schema

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema.of_job())
TASK: dict[str, Any] = {"name": "t", "image": "busybox"}
WRONG: dict[str, dict[str, Any]] = {
    "an unknown key": {"tasks": [TASK | {"imagee": "x"}]},
    "no name": {"name": None, "tasks": [TASK]},
    "no tasks": {"tasks": []},
    "tasks that are none": {"tasks": "t"},
    "a task that is none": {"tasks": ["t"]},
    "a task without an image": {"tasks": [{"name": "t"}]},
    "a step without an image": {"tasks": [TASK | {"pre": [{"run": "x"}]}]},
    "a name that is too long": {"name": "x" * 257, "tasks": [TASK]},
    "a number for a text": {"description": 1, "tasks": [TASK]},
    "a text for a list": {"tags": "a", "tasks": [TASK]},
    "a tag that is empty": {"tags": [""], "tasks": [TASK]},
    "an input that is a number": {"inputs": {"a": 1}, "tasks": [TASK]},
    "a priority that is too high": {"tasks": [TASK | {"priority": 10}]},
    "a priority that is a text": {"tasks": [TASK | {"priority": "high"}]},
    "a timeout without a unit": {"tasks": [TASK | {"timeout": "5"}]},
    "a timeout with a sign": {"tasks": [TASK | {"timeout": "+5s"}]},
    "a queue with a space": {"tasks": [TASK | {"queue": "a b"}]},
    "an item with a dash": {
        "tasks": [{"name": "t", "each": {"list": "[1]", "var": "a-b", "task": {"image": "busybox"}}}]
    },
    "a limit of retries that is too high": {"tasks": [TASK | {"retry": {"limit": 11}}]},
    "a mount of no type that there is": {"tasks": [TASK | {"mounts": [{"type": "nfs", "target": "/a"}]}]},
    "a mount without a target": {"tasks": [TASK | {"mounts": [{"type": "volume"}]}]},
    "a volume that is relative": {"tasks": [TASK | {"volumes": ["a"]}]},
    "a port that is too high": {
        "tasks": [TASK | {"sidecars": [TASK | {"probe": {"path": "/", "port": 65536}}]}],
    },
    "an each without a list": {"tasks": [{"name": "t", "each": {"task": TASK}}]},
    "a parallel without tasks": {"tasks": [{"name": "t", "parallel": {"tasks": []}}]},
    "a subjob without a name": {"tasks": [{"name": "t", "subjob": {"tasks": [TASK]}}]},
    "an input of a subjob whose name is too long": {
        "tasks": [{"name": "t", "subjob": {"name": "s", "tasks": [TASK], "inputs": {"x" * 257: ""}}}],
    },
    "a flag that is a text": {
        "tasks": [{"name": "t", "subjob": {"name": "s", "tasks": [TASK], "detached": "yes"}}],
    },
    "an event that there is not": {"webhooks": [{"url": "http://a", "event": "x"}], "tasks": [TASK]},
    "a URL of another kind": {"webhooks": [{"url": "ftp://a"}], "tasks": [TASK]},
    "a wait without a timeout": {"wait": {}, "tasks": [TASK]},
    "defaults that are too low": {"defaults": {"priority": -1}, "tasks": [TASK]},
}
RIGHT: dict[str, dict[str, Any]] = {
    "templates": {
        "tasks": [TASK | {"priority": "{{ 1 }}", "timeout": "{{ inputs.t }}", "queue": "{{ inputs.q }}"}],
    },
    "numbers for limits": {"tasks": [TASK | {"limits": {"cpus": 0.5, "memory": "1g"}}]},
    "a fraction of a factor": {"tasks": [TASK | {"retry": {"limit": 1, "scalingFactor": 1.5}}]},
    "an unnamed task in parallel": {"tasks": [{"name": "t", "parallel": {"tasks": [{"image": "busybox"}]}}]},
    "an unnamed task in each": {
        "tasks": [{"name": "t", "each": {"list": "[1]", "task": {"image": "busybox"}}}]
    },
    "a var with a dash": {"tasks": [TASK | {"var": "a-b"}]},
    "durations": {"tasks": [TASK | {"timeout": "1h2m3.5s"}], "wait": {"timeout": ".5s"}},
}


def parse(document: Any) -> object:
    return jobfile.parse_job(json.dumps(document).encode(), "application/json")


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema.of_job())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_taken(example: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(example.read_text()))


@pytest.mark.parametrize("document", RIGHT.values(), ids=RIGHT)
def test_both_take_what_is_right(document: dict[str, Any]) -> None:
    VALIDATOR.validate({"name": "j"} | document)
    assert parse({"name": "j"} | document)


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
def test_both_refuse_what_is_wrong(document: dict[str, Any]) -> None:
    whole = {"name": "j"} | document

    assert not VALIDATOR.is_valid(whole)
    with pytest.raises(InvalidInput):
        parse(whole)


def test_the_shell_runtime_needs_no_image() -> None:
    document = {"name": "j", "tasks": [{"name": "t", "run": "true"}]}

    assert Draft202012Validator(json_schema.of_job(image_required=False)).is_valid(document)


def test_what_keys_mean_is_what_the_documentation_says() -> None:
    assert descriptions.TARGET.read_text() == descriptions.collected(), "run python -m scripts.descriptions"
    properties = json_schema.of_job()["$defs"]["Task"]["properties"]
    assert properties["priority"]["description"].startswith("order in the queue")
    assert properties["cmd"]["description"].startswith("the command")  # of a step


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(cli, ["schema"])

    assert printed.exit_code == 0
    assert json.loads(printed.output) == json_schema.of_job()
