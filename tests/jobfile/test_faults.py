"""Faults in a job file: all are reported at once, each with its path and position."""

import pytest

from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput
from tork_celery.jobfile import parse_file, parse_job, parse_task

YAML = "text/yaml"
JSON = "application/json"
MISSING = "required, but missing or empty"


def faults_of_task(body: str, media_type: str = YAML) -> tuple[Fault, ...]:
    with pytest.raises(InvalidInput) as caught:
        parse_task(body.encode(), media_type)
    return caught.value.faults


def faults_of_job(body: str, media_type: str = YAML) -> tuple[Fault, ...]:
    with pytest.raises(InvalidInput) as caught:
        parse_job(body.encode(), media_type)
    return caught.value.faults


# The third line of a task that is valid without it; the path, message and column of its fault.
LINES = [
    ("cmd: echo", "cmd", "expected a list, got the string 'echo'; write it as a list, [like, this]", 1),
    ("cmd: [[a]]", "cmd[0]", "expected a string, got a list", 7),
    ("tags: ['']", "tags[0]", "must not be empty", 8),
    ("env: [a]", "env", "expected a mapping, got a list", 1),
    ('env: {A: "\\0"}', "env.A", "must not contain the character U+0000", 7),
    ("env: {'': a}", 'env[""]', "the name of an environment variable must not be empty or contain `=`", 7),
    (
        "env: {A=B: a}",
        'env["A=B"]',
        "the name of an environment variable must not be empty or contain `=`",
        7,
    ),
    ('env: {"A\\n": a}', 'env["A\\n"]', "must not contain the character U+000A", 7),
    ("env: {A: [1]}", "env.A", "expected a string, got a list", 7),
    ("env: {A: {B: 1}}", "env.A", "expected a string, got a mapping", 7),
    ("run: [5]", "run", "expected a string, got a list", 1),
    ("tags: [~]", "tags[0]", "must not be empty", 8),
    ("description: {}", "description", "expected a string, got a mapping", 1),
    ("workdir: " + "w" * 257, "workdir", "longer than 256 characters", 1),
    ("timeout: 30", "timeout", "'30' is not a duration; write it like 1h30m, 500ms or 2.5s", 1),
    ("timeout: 0s", "timeout", "'0s' must be longer than 0", 1),
    (
        "retry: {limit: 1, initialDelay: 5}",
        "retry.initialDelay",
        "'5' is not a duration; write it like 1h30m, 500ms or 2.5s",
        19,
    ),
    (
        "timeout: -5s",
        "timeout",
        "'-5s' is not a duration; write it like 1h30m, 500ms or 2.5s",
        1,
    ),
    ("priority: 10", "priority", "must be from 0 to 9", 1),
    ("priority: -1", "priority", "must be from 0 to 9", 1),
    ("priority: true", "priority", "expected a whole number, got the boolean true", 1),
    ("priority: 1.0", "priority", "expected a whole number, got the number 1.0", 1),
    ("var: " + "v" * 65, "var", "longer than 64 characters", 1),
    ("queue: a b", "queue", "may hold letters, digits, `.`, `_` and `-` only", 1),
    ("queue: " + "q" * 129, "queue", "longer than 128 characters", 1),
    ("limits: [1]", "limits", "expected a mapping, got a list", 1),
    ("limits: {cpus: .nan}", "limits.cpus", "'NaN' is not a number of CPUs; write it like 0.5 or 2", 10),
    (
        "limits: {memory: .inf}",
        "limits.memory",
        "'Infinity' is not a size; write it like 500m or 2g",
        10,
    ),
    ("limits: {cpus: true}", "limits.cpus", "expected a string or a number, got the boolean true", 10),
    (
        "limits: {cpus: lots}",
        "limits.cpus",
        "'lots' is not a number of CPUs; write it like 0.5 or 2",
        10,
    ),
    (
        "limits: {memory: 5m}",
        "limits.memory",
        "'5m' is too little memory for a container; at least 6m is needed",
        10,
    ),
    (
        "limits: {cpus: 1, cpu: 1}",
        "limits.cpu",
        "another name for `cpus`, which is also given; remove one",
        19,
    ),
    ("pre: {}", "pre", "expected a list, got a mapping", 1),
    ("pre: [a]", "pre[0]", "expected a mapping, got the string 'a'", 7),
    ("pre: [{name: a}]", "pre[0].image", MISSING, 7),
    (
        "pre: [{image: a, timeout: x}]",
        "pre[0].timeout",
        "'x' is not a duration; write it like 1h30m, 500ms or 2.5s",
        18,
    ),
    ("mounts: [{target: /a}]", "mounts[0].type", MISSING, 10),
    ("mounts: [{type: volume}]", "mounts[0].target", MISSING, 10),
    (
        "mounts: [{type: volume, target: /a, source: /b}]",
        "mounts[0].source",
        "a mount of type `volume` has no source; remove it",
        37,
    ),
    ("volumes: [tmp]", "volumes[0]", "expected an absolute path, such as `/data`", 11),
    ("volumes: [/]", "volumes[0]", "nothing can be mounted on `/`", 11),
    (
        "volumes: [/a;b]",
        "volumes[0]",
        "only letters, digits, spaces, `-`, `/`, `.`, `_` and `=` are allowed",
        11,
    ),
    ("volumes: [/a, /b/../a/]", "volumes[1]", "another mount has this target", 15),
    (
        "{mounts: [{type: volume, target: /a}], volumes: [/a]}",
        "volumes[0]",
        "another mount has this target",
        50,
    ),
    ("files: {a: x, a/b: y}", 'files["a/b"]', "'a' is a file, so it cannot contain another", 15),
]


@pytest.mark.parametrize(("line", "path", "message", "column"), LINES, ids=[line[0][:40] for line in LINES])
def test_fault_of_a_task_has_path_and_position(line: str, path: str, message: str, column: int) -> None:
    if line.startswith("{"):
        body = "---\n\n{name: a, image: b, " + line[1:]
        column += len("name: a, image: b, ")
    else:
        body = f"name: a\nimage: b\n{line}\n"
    assert faults_of_task(body) == (Fault(path, message, 3, column),)


@pytest.mark.parametrize("target", ["/tork", "/tork/", "//tork", "/tork/workdir", "/a/../tork", "/./tork/x"])
def test_mount_below_the_reserved_directory_is_refused(target: str) -> None:
    message = "`/tork` is reserved; choose another path"
    for line, path in [
        (f"volumes: [{target}]", "volumes[0]"),
        (f"mounts: [{{type: volume, target: {target}}}]", "mounts[0].target"),
    ]:
        (fault,) = faults_of_task(f"name: a\nimage: b\n{line}\n")
        assert (fault.path, fault.message) == (path, message)


@pytest.mark.parametrize(
    "queue",
    ["control", "node.a", "node.", "amq.x", "unacked", "unacked_index", "_kombu.binding.x", "celeryev.1"],
)
def test_reserved_queue_names_are_refused(queue: str) -> None:
    (fault,) = faults_of_task(f"name: a\nimage: b\nqueue: {queue}\n")
    assert fault.path == "queue"
    assert fault.message == f"the system uses the queue '{queue}' for itself; choose another name"


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a/..", ".", "./a", "a/", "a//b"])
def test_file_outside_the_work_directory_is_refused(name: str) -> None:
    (fault,) = faults_of_task(f'name: a\nimage: b\nfiles: {{"{name}": x}}\n')
    assert fault.message == "expected a path inside the work directory, such as `conf/app.ini`"
    assert fault.path.startswith("files")


@pytest.mark.parametrize("escape", ["\\n", "\\t", "\\e", "\\x7f", "\\x9b", "\\L"])
def test_control_character_in_a_name_is_refused(escape: str) -> None:
    (fault,) = faults_of_task(f'name: "a{escape}b"\nimage: b\n')
    assert fault.path == "name"
    assert fault.message.startswith("must not contain the character U+")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("imagee", "unknown key; did you mean `image`?"),
        ("Tags", "unknown key; did you mean `tags`?"),
        ("work_dir", "unknown key; did you mean `workdir`?"),
        ("timeOut", "unknown key; did you mean `timeout`?"),
    ],
)
def test_misspelt_key_names_the_similar_key(key: str, message: str) -> None:
    assert faults_of_task(f"name: a\nimage: b\n{key}: x\n") == (Fault(key, message, 3, 1),)


def test_unknown_key_lists_the_allowed_keys() -> None:
    (fault,) = faults_of_job("name: a\ntasks: [{name: b, image: c}]\nschedule: {cron: '@daily'}\n")
    allowed = (
        "unknown key; allowed here: name, description, tags, tasks, inputs, secrets, output, timeout, "
        "concurrency, defaults, webhooks, permissions, autoDelete, failFast, wait"
    )
    assert fault == Fault("schedule", allowed, 3, 1)


COMPOSITES = {
    "parallel": "{tasks: [{image: b}]}",
    "each": "{list: '[1, 2]', task: {name: c, image: b}}",
    "subjob": "{name: s, tasks: [{name: c, image: b}]}",
}


@pytest.mark.parametrize("block", COMPOSITES)
@pytest.mark.parametrize(
    "line",
    [
        "image: b",
        "cmd: [a]",
        "run: a",
        "env: {A: b}",
        "queue: q",
        "retry: {limit: 1}",
        "limits: {cpus: 1}",
        "timeout: 1s",
        "pre: []",
        "mounts: []",
        "priority: 1",
    ],
)
def test_composite_refuses_keys_of_a_container(block: str, line: str) -> None:
    (fault,) = faults_of_task(f"name: a\n{line}\n{block}: {COMPOSITES[block]}\n")
    assert (fault.path, fault.line) == (line.partition(":")[0], 2)
    assert fault.message == f"not allowed in a task with `{block}`, which runs no container; remove it"


@pytest.mark.parametrize("name", ["a-b", "1", "a.b"])
def test_variable_of_an_item_is_an_identifier(name: str) -> None:
    (fault,) = faults_of_task(f"name: a\neach: {{list: '[1]', task: {{image: b}}, var: '{name}'}}\n")
    assert fault.path == "each.var"
    assert fault.message == "must be a name of letters, digits and `_` that does not start with a digit"


def test_second_composite_block_is_refused() -> None:
    faults = faults_of_task(f"name: a\neach: {COMPOSITES['each']}\nsubjob: {COMPOSITES['subjob']}\n")
    assert [(fault.path, fault.message) for fault in faults] == [
        ("subjob", "a task takes only one of parallel, each, subjob; it also has `each`")
    ]


# The third line of a job that is valid without it; the path and the beginning of the message.
IN_A_JOB = [
    ("inputs: {a: [1]}", "inputs.a", "expected a string, got a list"),
    ("output: '{{ 1 +'", "output", "{{ is not closed by }}"),
    ("defaults: {priority: 10}", "defaults.priority", "must be from 0 to 9"),
    ("defaults: {image: a}", "defaults.image", "unknown key; allowed here: retry, limits, timeout, queue"),
    ("webhooks: [{event: x, url: 'http://a'}]", "webhooks[0].event", "expected one of job.StateChange, "),
    ("webhooks: [{}]", "webhooks[0].url", MISSING),
    (
        "webhooks: [{url: 'ftp://a'}]",
        "webhooks[0].url",
        "expected a URL that begins with http:// or https://",
    ),
    (
        "webhooks: [{url: 'http://a', headers: {'a b': c}}]",
        'webhooks[0].headers["a b"]',
        "not a valid name of an HTTP header",
    ),
    ("permissions: [{user: a, role: b}]", "permissions[0].user", "a permission names either a `user` or"),
    ("permissions: [{}]", "permissions[0].user", "a permission names either a `user` or"),
    ("autoDelete: {after: 0s}", "autoDelete.after", "'0s' must be longer than 0"),
    ("wait: {}", "wait.timeout", MISSING),
]


@pytest.mark.parametrize(("line", "path", "message"), IN_A_JOB)
def test_fault_of_a_job_has_path_and_position(line: str, path: str, message: str) -> None:
    (fault,) = faults_of_job(f"name: a\ntasks: [{{name: b, image: c}}]\n{line}\n")
    assert (fault.path, fault.line) == (path, 3)
    assert fault.message.startswith(message)


def test_step_refuses_keys_of_a_task() -> None:
    faults = faults_of_task("name: a\nimage: b\npost: [{image: c, queue: d, pre: []}]\n")
    assert [fault.path for fault in faults] == ["post[0].queue", "post[0].pre"]


@pytest.mark.parametrize(
    ("body", "path", "message", "position"),
    [
        ("tasks: [{name: a, image: b}]", "name", MISSING, (1, 1)),
        ("tasks: [{name: a, image: b}]\nname: ''", "name", MISSING, (2, 1)),
        ("name: a", "tasks", MISSING, (1, 1)),
        ("name: a\ntasks: []", "tasks", "expected at least 1, got 0", (2, 1)),
        ("name: a\ntasks:\n  - 5", "tasks[0]", "expected a mapping, got the number 5", (3, 5)),
        ("name: a\ntasks:\n  - image: b", "tasks[0].name", MISSING, (3, 5)),
        ("name: a\ntasks:\n  - name: b", "tasks[0].image", MISSING, (3, 5)),
        (
            "name: " + "n" * 257 + "\ntasks: [{name: a, image: b}]",
            "name",
            "longer than 256 characters",
            (1, 1),
        ),
    ],
)
def test_job_requires_a_name_and_tasks(body: str, path: str, message: str, position: tuple[int, int]) -> None:
    assert faults_of_job(body) == (Fault(path, message, *position),)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ("fetsch", "no task above has this name or var; did you mean `fetch`?"),
        ("total", "no task above has this name or var; did you mean `totals`?"),
        ("elsewhere", "no task above in this list has this name or var"),
        ("twice", "2 tasks of this list have the name or var `twice`; give them different names"),
        ("report", "a task cannot need itself"),
        ("'{{ inputs.x }}'", "must be the name or var of a task above, without {{ }}"),
        (
            "late",
            "`late` is further down; move it above this task, since a task can only need tasks above it",
        ),
    ],
)
def test_need_is_one_task_above(needs: str, message: str) -> None:
    text = f"""\
name: a
tasks:
  - {{name: fetch, image: b}}
  - {{name: sum, var: totals, image: b}}
  - {{name: twice, image: b}}
  - {{name: once, var: twice, image: b}}
  - name: report
    image: b
    needs:
      - fetch
      - {needs}
  - {{name: late, image: b}}
"""
    assert faults_of_job(text) == (Fault("tasks[4].needs[1]", message, 11, 9),)


def test_needs_are_checked_in_subjobs_and_parallel_and_refused_in_each() -> None:
    inner = "tasks: [{name: b, image: c}, {name: d, image: e, needs: [x]}]"
    for composite in ("parallel: {", "subjob: {name: s, "):
        (fault,) = faults_of_job(f"name: a\ntasks: [{{name: p, {composite}{inner}}}}}]")
        assert fault.path.endswith("tasks[1].needs[0]")
    (fault,) = faults_of_job("name: a\ntasks: [{name: p, each: {list: '[1]', task: {image: c, needs: []}}}]")
    assert fault.path == "tasks[0].each.task.needs"
    (fault,) = faults_of_task("name: a\nimage: b\nneeds: [c]")
    assert fault.path == "needs[0]"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("maybe", "expected true, false or a mapping, got the string 'maybe'"),
        ("{exitCodes: [0]}", "must be from 1 to 255"),
        ("{exitCode: [2]}", "unknown key; did you mean `exitCodes`?"),
        ("{}", "required, but missing or empty"),
    ],
)
def test_allowed_failure_is_true_or_has_exit_codes(value: str, message: str) -> None:
    faults = faults_of_task(f"name: a\nimage: b\nallowFailure: {value}")
    assert message in [fault.message for fault in faults]


def test_allowed_failure_of_a_composite_has_no_exit_codes() -> None:
    (fault,) = faults_of_task("name: a\nparallel: {tasks: [{image: b}]}\nallowFailure: {exitCodes: [2]}")
    assert (fault.path, fault.line) == ("allowFailure", 3)


def test_10_001_tasks_are_refused() -> None:
    (fault,) = faults_of_job("name: a\ntasks: [" + "x," * 10_001 + "]")
    assert fault == Fault("tasks", "expected at most 10,000, got 10,001", 2, 1)


def test_faults_are_in_the_order_of_the_file() -> None:
    faults = faults_of_job(
        """\
name: a
tags: x
tasks:
  - name: b
    image: c
  - name: d
    imagee: e
    pre:
      - image: f
        env:
          PORT: [8080]
    timeout: never
nane: g
"""
    )
    assert [(fault.path, fault.line, fault.column) for fault in faults] == [
        ("tags", 2, 1),
        ("tasks[1].image", 6, 5),
        ("tasks[1].imagee", 7, 5),
        ("tasks[1].pre[0].env.PORT", 11, 11),
        ("tasks[1].timeout", 12, 5),
        ("nane", 13, 1),
    ]


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "a", "tasks": [' + ",".join(['{"x": 1}'] * 1000) + "]}",
        '{"name": "a", "tasks": ['
        + ",".join(['{"name": "a", "image": "b", "cmd": [{}, {}, {}]}'] * 1000)
        + "]}",
        '{"name": "a", "tasks": [{"name": "a", "image": "b", "cmd": [' + ",".join(["[]"] * 1000) + "]}]}",
        '{"name": "a", "tasks": [{"name": "a", "image": "b", '
        '"env": {' + ",".join(f'"A{number}": []' for number in range(1000)) + "}}]}",
        "{" + ",".join(f'"a{number}": 1' for number in range(1000)) + "}",
    ],
)
def test_at_most_20_faults_are_listed(body: str) -> None:
    assert len(faults_of_job(body, YAML)) == 20
    assert len(faults_of_job(body, JSON)) == 20


def test_faults_of_json_have_no_line() -> None:
    body = '{"name": "a", "tasks": [{"name": "b", "image": [5]}]}'
    expected = "expected a string, got a list"
    assert faults_of_job(body, JSON) == (Fault("tasks[0].image", expected),)


def test_parse_file_reports_the_faults_of_its_kind() -> None:
    for body, paths in [(b"name: a\ntasks: []\n", ["tasks"]), (b"name: a\n", ["image"])]:
        with pytest.raises(InvalidInput) as caught:
            parse_file(body, YAML)
        assert [fault.path for fault in caught.value.faults] == paths


def test_long_keys_and_values_are_cut_in_messages() -> None:
    key, value = "k" * 1_000_000, "v" * 1_000_000
    (fault, other) = faults_of_task(f'{{"name": "a", "image": "b", "{key}": 1, "cmd": "{value}"}}', JSON)
    assert len(str(fault)) < 400
    assert len(str(other)) < 200


@pytest.mark.parametrize(
    "media_type", ["", " ", "text/plain", "application/yaml", "multipart/form-data", ";"]
)
def test_unknown_media_type_lists_the_known_ones(media_type: str) -> None:
    with pytest.raises(InvalidInput, match="one of application/json, text/yaml, application/x-yaml"):
        parse_job(b"name: a", media_type)


def test_body_above_the_limit_is_too_large() -> None:
    body = b'{"name": "a", "image": "b"}'
    assert parse_task(body, JSON, limit_bytes=len(body)).name == "a"
    with pytest.raises(BodyTooLarge, match="larger than the limit of 26 bytes"):
        parse_task(body, JSON, limit_bytes=len(body) - 1)
    with pytest.raises(BodyTooLarge, match="4194304"):
        parse_task(b" " * (4 * 1024 * 1024 + 1), JSON)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("name: '{{ job. }}'", "name"),
        ("image: 'ubuntu:{{ 1 + }}'", "image"),
        ("queue: '{{ ) }}'", "queue"),
        ("cmd: [echo, '{{ inputs.greeting'", "cmd[1]"),
        ("env: {GREETING: '{{ }}'}", "env.GREETING"),
        ("if: 1 +", "if"),
        ("timeout: '{{ 1 + }}'", "timeout"),
        ("priority: '{{ 1 + }}'", "priority"),
        ("limits: {memory: '{{ 1 + }}'}", "limits.memory"),
        ("registry: {username: '{{ 1 + }}', password: b}", "registry.username"),
    ],
)
def test_syntax_error_in_an_expression_is_refused(line: str, path: str) -> None:
    body = {"name": "name: t", "image": "image: i"} | {line.partition(":")[0]: line}
    (fault,) = faults_of_task("\n".join(body.values()).replace("greeting'", "greeting']"))
    assert fault.path == path
    assert "of the expression" in fault.message


def test_template_is_accepted_where_its_value_is_checked_later() -> None:
    body = """{name: 'a {{ 1 }}', image: '{{ inputs.image }}', queue: '{{ inputs.queue }}',
    if: inputs.x == 'y', timeout: '{{ inputs.t }}', priority: '{{ inputs.p }}',
    limits: {cpus: '{{ 1 }}', memory: '{{ "6m" }}'},
    cmd: ['{{ item.value }}'], env: {A: '{{ secrets.a }}'}, var: '{{ inputs.v }}'}"""
    task = parse_task(body.encode(), YAML)
    assert (task.priority, task.if_) == ("{{ inputs.p }}", "inputs.x == 'y'")


@pytest.mark.parametrize(
    ("retry", "path", "message"),
    [
        ("{limit: 0}", "retry.limit", "must be from 1 to 10"),
        ("{limit: 1, exitCodes: [0]}", "retry.exitCodes[0]", "must be from 1 to 255"),
        ("{limit: 1, exitCodes: 3}", "retry.exitCodes", "expected a list"),
        ("{limit: 1, memory: {max: 1g}}", "retry.memory.factor", "required"),
        ("{limit: 1, memory: {factor: 2, max: 1x}}", "retry.memory.max", "is not a size"),
        ("{limit: 1, memory: {factor: 2}}", "retry.memory", "`retry.memory` needs a limit"),
        ("{limit: 11}", "retry.limit", "must be from 1 to 10"),
        ("{initialDelay: 1s}", "retry.limit", "required"),
        ("{limit: 1, scalingFactor: 0.5}", "retry.scalingFactor", "must be from 1 to 10"),
        ("{limit: 1, scalingFactor: x}", "retry.scalingFactor", "expected a number"),
        ("{limit: 1, scalingFactor: .nan}", "retry.scalingFactor", "expected a number, got NaN"),
        ("{limit: 1, scalingFactor: .inf}", "retry.scalingFactor", "must be from 1 to 10"),
        ("{limit: 1, scalingFactor: -.inf}", "retry.scalingFactor", "must be from 1 to 10"),
        ("{limit: 1, scalingFactor: 1e999}", "retry.scalingFactor", "must be from 1 to 10"),
        ("{limit: .nan}", "retry.limit", "expected a whole number, got a number out of range"),
        ("{limit: 1, maxDelay: soon}", "retry.maxDelay", "is not a duration"),
    ],
)
def test_invalid_retry_is_refused(retry: str, path: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_task(f"name: t\nimage: i\nretry: {retry}".encode(), "text/yaml")
    (fault,) = refused.value.faults
    assert fault.path == path
    assert message in fault.message
