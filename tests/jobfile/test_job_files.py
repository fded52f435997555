"""Valid job files parse to the definitions that they describe."""

import pytest

from tork_celery.domain.definition import JobDefinition, Limits, Mount, StepDefinition, TaskDefinition
from tork_celery.jobfile import job_of, parse_file, parse_job, parse_task

YAML = "text/yaml"
JSON = "application/json"

HELLO = b"""\
# hello: the result is "hello world", what it printed
---
name: say hello
image: ubuntu:mantic
cmd: [echo, -n, hello world]
"""
HELLO_TASK = TaskDefinition(name="say hello", image="ubuntu:mantic", cmd=("echo", "-n", "hello world"))

EVERYTHING = b"""\
name: everything
description: |
  two
  lines
tags: [nightly, eu]
tasks:
  - name: first
    description: what it does
    image: busybox:stable
    run: |
      echo "$PORT" > "$TORK_OUTPUT"
    entrypoint: [sh, -e]
    env: {PORT: "8080", EMPTY: "", SCRIPT: "a\\nb"}
    files: {conf/app.ini: "x = 1\\n"}
    workdir: /work
    queue: trans_coding.1-a
    pre:
      - {name: fetch, image: "alpine:3", cmd: [wget, x], timeout: 30s}
      - {image: alpine, run: ls}
    post: [{name: put, image: alpine, env: {A: b}, files: {f: g}}]
    mounts: [{type: volume, target: /data}]
    volumes: [/tmp, /a b]
    limits: {cpus: 0.5, memory: 500m}
    timeout: 1h30m
    var: result_1
    tags: [x]
    priority: 9
"""
EVERYTHING_JOB = JobDefinition(
    name="everything",
    description="two\nlines\n",
    tags=("nightly", "eu"),
    tasks=(
        TaskDefinition(
            name="first",
            description="what it does",
            image="busybox:stable",
            run='echo "$PORT" > "$TORK_OUTPUT"\n',
            entrypoint=("sh", "-e"),
            env={"PORT": "8080", "EMPTY": "", "SCRIPT": "a\nb"},
            files={"conf/app.ini": "x = 1\n"},
            workdir="/work",
            queue="trans_coding.1-a",
            pre=(
                StepDefinition(name="fetch", image="alpine:3", cmd=("wget", "x"), timeout="30s"),
                StepDefinition(image="alpine", run="ls"),
            ),
            post=(StepDefinition(name="put", image="alpine", env={"A": "b"}, files={"f": "g"}),),
            mounts=(Mount(type="volume", target="/data"),),
            volumes=("/tmp", "/a b"),
            limits=Limits(cpus="0.5", memory="500m"),
            timeout="1h30m",
            var="result_1",
            tags=("x",),
            priority=9,
        ),
    ),
)


def test_task_parses_to_its_definition() -> None:
    assert parse_task(HELLO, YAML) == HELLO_TASK


def test_all_keys_are_in_the_definition() -> None:
    assert parse_job(EVERYTHING, YAML) == EVERYTHING_JOB


@pytest.mark.parametrize(
    "media_type",
    ["text/yaml", "application/x-yaml", "text/yaml; charset=utf-8", "Text/YAML ;charset=UTF-8"],
)
def test_yaml_media_types_and_parameters_are_accepted(media_type: str) -> None:
    assert parse_task(HELLO, media_type) == HELLO_TASK


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"])
def test_json_parses_to_the_same_definition(media_type: str) -> None:
    body = b'{"name": "say hello", "image": "ubuntu:mantic", "cmd": ["echo", "-n", "hello world"]}'
    assert parse_task(body, media_type) == HELLO_TASK


def test_file_with_tasks_is_a_job() -> None:
    job, kind = parse_file(EVERYTHING, YAML)
    assert (job, kind) == (EVERYTHING_JOB, "job")


def test_file_without_tasks_is_a_job_of_one_task() -> None:
    job, kind = parse_file(HELLO, YAML)
    assert (job, kind) == (JobDefinition(name="say hello", tasks=(HELLO_TASK,)), "task")
    assert job == job_of(HELLO_TASK)


def test_empty_values_count_as_left_out() -> None:
    body = b"name: a\nimage: b\ndescription:\nenv: ~\npre: null\ntimeout: ''\npriority:\nlimits:\n"
    assert parse_task(body, YAML) == TaskDefinition(name="a", image="b")


def test_image_is_optional_for_the_shell_runtime() -> None:
    body = b"name: a\nrun: ls\npre: [{run: pwd}]\n"
    expected = TaskDefinition(name="a", run="ls", pre=(StepDefinition(run="pwd"),))
    assert parse_task(body, YAML, image_required=False) == expected


@pytest.mark.covers("Limits.cpu")
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("{cpu: 2}", Limits(cpus="2")),
        ("{cpus: 0.000001}", Limits(cpus="0.000001")),
        ("{memory: 536870912}", Limits(memory="536870912")),
        ("{memory: 2g}", Limits(memory="2g")),
        ("{}", Limits()),
    ],
)
def test_limits_are_numbers_or_strings(limits: str, expected: Limits) -> None:
    task = parse_task(f"name: a\nimage: b\nlimits: {limits}\n".encode(), YAML)
    assert task.limits == expected


@pytest.mark.parametrize(
    ("var", "named"), [("", "item {{ item.index }}"), ("var: page", "item {{ page.index }}")]
)
def test_unnamed_task_of_each_is_named_after_its_item(var: str, named: str) -> None:
    body = f"""\
name: for each
each:
  list: "{{{{ sequence(1, 5) }}}}"
  {var}
  task: {{image: busybox, run: ls}}
"""
    task = parse_task(body.encode(), YAML)
    assert task.each is not None
    assert task.each.task == TaskDefinition(name=named, image="busybox", run="ls")


@pytest.mark.parametrize(
    "gpus", ["all", "2", "count=2", "count=all", "device=0", "device=0,1", '"device=0,1"']
)
def test_gpus_use_the_syntax_of_docker_run(gpus: str) -> None:
    task = parse_task(f"name: a\nimage: b\ngpus: '{gpus}'\n".encode(), YAML)
    assert task.gpus == gpus


def test_10_000_tasks_are_accepted() -> None:
    body = b'{"name": "big", "tasks": [' + b",".join([b'{"name": "a", "image": "b"}'] * 10_000) + b"]}"
    assert len(parse_job(body, JSON).tasks) == 10_000


def test_name_of_256_characters_is_accepted() -> None:
    name = "ü" * 256
    assert parse_task(f"name: {name}\nimage: b\n".encode(), YAML).name == name


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (rb'{"name": "n", "image": "i", "run": "if true; then\r\n echo\r\nfi\r\n"}', JSON),
        (b"name: n\r\nimage: i\r\nrun: |\r\n  if true; then\r\n   echo\r\n  fi\r\n", YAML),
        (rb'{name: n, image: i, run: "if true; then\r\n echo\r\nfi\r\n"}', YAML),
    ],
    ids=["JSON", "YAML", "YAML in quotes"],
)
def test_script_has_plain_line_ends(body: bytes, media_type: str) -> None:
    assert parse_task(body, media_type).run == "if true; then\n echo\nfi\n"


def test_line_ends_of_files_and_lone_carriage_returns_are_kept() -> None:
    task = parse_task(rb'{"name": "n", "image": "i", "run": "a\rb", "files": {"f": "a\r\n"}}', JSON)

    assert (task.run, task.files) == ("a\rb", {"f": "a\r\n"})
