"""Property tests: any input yields a definition or faults, and an encoded definition parses to itself."""

import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tork_celery.domain.codec import encode
from tork_celery.domain.definition import JobDefinition, Limits, Mount, StepDefinition, TaskDefinition
from tork_celery.domain.errors import MOST_FAULTS, InvalidInput
from tork_celery.jobfile import parse_file, parse_job, parse_task

YAML = "text/yaml"
JSON = "application/json"
KEYS = [
    *("name", "description", "tags", "tasks", "image", "run", "cmd", "entrypoint", "env", "files", "pre"),
    *("post", "mounts", "volumes", "limits", "cpu", "cpus", "memory", "timeout", "var", "priority", "queue"),
    *("workdir", "type", "target", "source", "_schema", "", "<<", "imagee", "\x00", "é"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 12)
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["a", "", "volume", "/data", "/tork", "1s", "-1s", "0.5", "500m", "node.x", "..", "\ud800"]
    )
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
YAML_PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "a",
                "name",
                "tasks",
                ": ",
                ":\n",
                "- ",
                "\n",
                "  ",
                "[",
                "]",
                "{",
                "}",
                ",",
                "&a ",
                "*a",
                "<<",
            ),
            *("!!str ", "? ", "|\n", "'", '"', "#", "---\n", "...\n", "%", "!x ", "\t", "1", "true", "~"),
            *("\\", "\u2028"),
        ]
    ),
    max_size=40,
).map("".join)


def check_any(body: bytes, media_type: str) -> None:
    for parse in (parse_job, parse_task, parse_file):
        try:
            parse(body, media_type)
        except InvalidInput as error:
            faults = error.faults
        else:
            continue
        assert 1 <= len(faults) <= MOST_FAULTS
        "\n".join(map(str, faults)).encode()  # messages are valid UTF-8


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_yield_a_definition_or_faults(body: bytes) -> None:
    check_any(body, YAML)
    check_any(body, JSON)


@settings(deadline=None)
@given(YAML_PIECES)
def test_random_yaml_yields_a_definition_or_faults(text: str) -> None:
    check_any(text.encode(), YAML)


@settings(deadline=None)
@given(VALUES)
def test_random_values_yield_a_definition_or_faults(value: Any) -> None:
    check_any(json.dumps(value).encode(), JSON)
    check_any(json.dumps(value).encode(), YAML)
    check_any(yaml.safe_dump(value, allow_unicode=False).encode(errors="surrogatepass"), YAML)


def is_literal(text: str) -> bool:
    """Return whether the text has no expression, which would have to be valid."""
    return "{{" not in text


LINE = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=8).filter(is_literal)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8).filter(
    is_literal
)
OPTIONAL_TEXT = st.none() | TEXT.filter(bool)
ENV = st.dictionaries(LINE.filter(lambda name: "=" not in name), TEXT, max_size=2)
FILES = st.dictionaries(
    LINE.filter(lambda name: "/" not in name and name not in (".", "..")), TEXT, max_size=2
)
TIMEOUTS = st.none() | st.sampled_from(["1s", "1h30m", "2.5ms"])
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
STEP = {
    "name": st.none() | LINE,
    "description": OPTIONAL_TEXT,
    "image": LINE,
    "run": OPTIONAL_TEXT,
    "cmd": TEXTS,
    "entrypoint": TEXTS,
    "env": ENV,
    "files": FILES,
    "timeout": TIMEOUTS,
}
STEPS = st.lists(st.builds(StepDefinition, **STEP), max_size=2).map(tuple)
TAGS = st.lists(LINE, max_size=2).map(tuple)
TASKS = st.builds(
    TaskDefinition,
    **STEP
    | {
        "name": LINE,
        "workdir": st.none() | LINE,
        "queue": st.none() | st.from_regex(r"[a-z0-9_-]{1,9}", fullmatch=True),
        "pre": STEPS,
        "post": STEPS,
        "mounts": st.sampled_from([(), (Mount(type="volume", target="/data"),)]),
        "volumes": st.sampled_from([(), ("/tmp", "/a b/c")]),
        "limits": st.none() | st.builds(Limits, cpus=st.sampled_from([None, "0.5"]), memory=st.just("6m")),
        "var": st.none() | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True),
        "tags": TAGS,
        "priority": st.integers(0, 9),
    },
)
JOBS = st.builds(
    JobDefinition,
    name=LINE,
    description=OPTIONAL_TEXT,
    tags=TAGS,
    tasks=st.lists(TASKS, min_size=1, max_size=3).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(JOBS)
def test_encoded_job_parses_to_itself(job: JobDefinition) -> None:
    document = encode(job)
    assert parse_job(json.dumps(document).encode(), JSON) == job
    # In quotes: PyYAML writes YAML 1.1, in which 0E0 is a string.
    assert parse_job(yaml.safe_dump(document, default_style='"').encode(), YAML) == job
