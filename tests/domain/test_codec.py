"""Conversion of domain objects to documents and back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.samples import task_definition
from tork_celery.domain.codec import camel, decode, encode
from tork_celery.domain.definition import JobDefinition, Limits, Mount, StepDefinition, TaskDefinition

names = st.text(max_size=8)
optional = st.none() | names.filter(bool)
several = st.lists(names, max_size=3).map(tuple)
pairs = st.dictionaries(names, names, max_size=3)
step_fields: dict[str, st.SearchStrategy[Any]] = {
    "name": optional,
    "description": optional,
    "image": optional,
    "run": optional,
    "cmd": several,
    "entrypoint": several,
    "env": pairs,
    "files": pairs,
    "timeout": optional,
}
steps = st.builds(StepDefinition, **step_fields)
tasks = st.builds(
    TaskDefinition,
    **step_fields,
    workdir=optional,
    queue=optional,
    pre=st.lists(steps, max_size=2).map(tuple),
    post=st.lists(steps, max_size=2).map(tuple),
    mounts=st.lists(
        st.builds(Mount, type=names.filter(bool), source=optional, target=optional, opts=pairs), max_size=2
    ).map(tuple),
    volumes=several,
    limits=st.none() | st.builds(Limits, cpus=optional, memory=optional),
    retry=st.none(),
    var=optional,
    tags=several,
    priority=st.integers(0, 9),
)
jobs = st.builds(
    JobDefinition,
    name=names.filter(bool),
    tasks=st.lists(tasks, min_size=1, max_size=2).map(tuple),
    description=optional,
    tags=several,
)


@settings(max_examples=50)
@given(jobs)
def test_decoded_document_equals_the_object(job: JobDefinition) -> None:
    assert decode(JobDefinition, encode(job)) == job


@settings(max_examples=50)
@given(jobs)
def test_document_has_no_empty_fields(job: JobDefinition) -> None:
    def check(document: dict[str, Any]) -> None:
        for value in document.values():
            assert value is not None
            assert value not in ("", [])
            for item in value if isinstance(value, list) else []:
                if isinstance(item, dict):
                    check(item)

    check(encode(job))


@pytest.mark.parametrize(("name", "key"), [("name", "name"), ("created_at", "createdAt"), ("a_b_c", "aBC")])
def test_keys_are_camel_case(name: str, key: str) -> None:
    assert camel(name) == key


def test_zero_is_not_omitted() -> None:
    assert encode(task_definition(priority=0))["priority"] == 0


def test_unknown_keys_are_ignored() -> None:
    assert decode(Limits, {"cpus": "1", "aLaterKey": True}) == Limits(cpus="1")


def test_missing_keys_have_their_default() -> None:
    assert decode(StepDefinition, {}) == StepDefinition()
