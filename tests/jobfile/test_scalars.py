"""Where a string is expected, a number or boolean is taken as it is written, and null as an empty string."""

from collections.abc import Callable
from typing import Any

import pytest

from tork_celery.domain.definition import TaskDefinition
from tork_celery.jobfile import parse_job, parse_scheduled_job, parse_task

YAML = "text/yaml"
JSON = "application/json"
WRITTEN = ["1", "-1", "1.50", "012", "0x1F", "0o17", "1e3", "+3", ".5", "1_000", "9" * 70]
WRITTEN += ["true", "False", "TRUE", "yes", "no", "on", "2020-01-01", "1:30", ".inf", ".NaN"]


def task(line: str, media_type: str = YAML) -> TaskDefinition:
    """Return a task with one more line."""
    return parse_task(f"name: t\nimage: busybox\n{line}\n".encode(), media_type)


def json_task(member: str) -> TaskDefinition:
    return parse_task(f'{{"name": "t", "image": "busybox", {member}}}'.encode(), JSON)


PLACES: list[tuple[str, Callable[[TaskDefinition], Any]]] = [
    ("env: {A: VALUE}", lambda task: task.env["A"]),
    ("env: {VALUE: a}", lambda task: next(iter(task.env))),
    ("cmd: [echo, VALUE]", lambda task: task.cmd[1]),
    ("entrypoint: [VALUE]", lambda task: task.entrypoint[0]),
    ("files: {a: VALUE}", lambda task: task.files["a"]),
    ("run: VALUE", lambda task: task.run),
    ("description: VALUE", lambda task: task.description),
    ("tags: [VALUE]", lambda task: task.tags[0]),
    ("var: VALUE", lambda task: task.var),
    ("pre: [{name: VALUE, image: a}]", lambda task: task.pre[0].name),
    ("registry: {username: VALUE, password: p}", lambda task: task.registry.username),  # type: ignore[union-attr]
]


@pytest.mark.parametrize("text", WRITTEN)
@pytest.mark.parametrize(("line", "read"), PLACES, ids=[line for line, _ in PLACES])
def test_scalar_of_yaml_is_taken_as_written(
    line: str, read: Callable[[TaskDefinition], Any], text: str
) -> None:
    if "var:" in line and len(text) > 64:
        pytest.skip("too long for a var")

    assert read(task(line.replace("VALUE", text))) == text


@pytest.mark.parametrize("text", ["1", "-1", "1.50", "1e3", "1E+2", "true", "false", "9" * 70])
def test_scalar_of_json_is_taken_as_json_writes_it(text: str) -> None:
    assert json_task(f'"env": {{"A": {text}}}').env == {"A": text}
    assert json_task(f'"cmd": [{text}]').cmd == (text,)
    assert json_task(f'"run": {text}').run == text


@pytest.mark.parametrize("null", ["null", "~", ""])
def test_null_in_a_list_or_map_of_strings_is_empty(null: str) -> None:
    assert task(f"env: {{A: {null}}}").env == {"A": ""}
    assert task(f"files: {{a: {null}}}").files == {"a": ""}
    assert task(f"cmd:\n  - a\n  - {null}").cmd == ("a", "")


@pytest.mark.parametrize(
    "key", ["description", "run", "env", "cmd", "queue", "timeout", "priority", "limits"]
)
def test_null_leaves_an_optional_key_out(key: str) -> None:
    assert task(f"{key}: null") == task("")
    assert json_task(f'"{key}": null') == task("")


@pytest.mark.parametrize(("text", "condition"), [("false", "false"), ("true", "true"), ("1", "1")])
def test_condition_is_a_scalar(text: str, condition: str) -> None:
    assert task(f"if: {text}").if_ == condition
    assert json_task(f'"if": {text}').if_ == condition


def test_name_of_a_job_is_a_number() -> None:
    job = parse_job(b"name: 2024\ntasks: [{name: 01, image: a}]\ninputs: {1: 012}\nsecrets: {p: 0123}", YAML)

    assert (job.name, job.tasks[0].name) == ("2024", "01")
    assert (job.inputs, job.secrets) == ({"1": "012"}, {"p": "0123"})


def test_headers_of_a_webhook_are_scalars() -> None:
    text = b"name: a\ntasks: [{name: a, image: b}]\nwebhooks: [{url: 'http://a', headers: {X-Count: 010}}]"

    assert parse_job(text, YAML).webhooks[0].headers == {"X-Count": "010"}


def test_numbers_and_booleans_stay_what_they_are_where_no_string_is_expected() -> None:
    text = b"name: a\nschedule: {cron: '@daily'}\ntasks:\n  - name: a\n    priority: 9\n    each:\n"
    text += b"      list: '[1]'\n      concurrency: 2\n      task: {image: b}\n"
    with_number = text.replace(b"    priority: 9\n", b"")
    job = parse_scheduled_job(with_number, YAML)

    assert job.tasks[0].each is not None
    assert job.tasks[0].each.concurrency == 2
    assert task("priority: 9").priority == 9
    assert task("retry: {limit: 3, scalingFactor: 1.5}").retry.scaling_factor == 1.5  # type: ignore[union-attr]
    assert task("limits: {cpus: 0.50}").limits.cpus == "0.5"  # type: ignore[union-attr]
