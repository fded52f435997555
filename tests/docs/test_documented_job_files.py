"""The keys and the job files in the documentation are those that are accepted."""

from pathlib import Path

import pytest

from tests.docs.documents import ROOT, Block, blocks, first_column, name, section, text_of
from tork_celery import jobfile
from tork_celery.jobfile.jobs import JobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.scheduled_jobs import ScheduledJobSchema
from tork_celery.jobfile.steps import StepSchema
from tork_celery.jobfile.tasks import TaskSchema
from tork_celery.jobfile.users import UserSchema

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
YAML_BLOCKS = [block for block in blocks() if block.info.startswith("yaml")]


def documented(heading: str) -> set[str]:
    keys = first_column(section(text_of("docs/job-file.md"), heading))
    assert len(keys) == len(set(keys)), "each key stands once"
    return set(keys)


OTHERS = (TaskSchema, UserSchema, ScheduledJobSchema)
"""Documented in a way of their own."""


def schemas() -> list[type[MappingSchema]]:
    """All of them, those of the tasks and their parts included."""
    found, waiting = [], [MappingSchema]
    while waiting:
        children = waiting.pop().__subclasses__()
        found += children
        waiting += children
    return found


def keys(schema: type[MappingSchema]) -> set[str]:
    return {field.data_key or name for name, field in schema().fields.items()}


@pytest.mark.parametrize(
    "schema",
    [schema for schema in schemas() if schema not in OTHERS and not schema.__name__.startswith("_")],
)
def test_the_keys_of_each_section_are_those_of_its_schema(schema: type[MappingSchema]) -> None:
    assert documented(f"## {schema.__name__.removesuffix('Schema')}") == keys(schema)


def test_the_keys_of_a_user_are_documented_with_the_route() -> None:
    assert set(first_column(section(text_of("docs/api.md"), "## Users"))) == set(UserSchema().fields)


def test_a_scheduled_job_has_the_keys_of_a_job_and_its_own() -> None:
    assert documented("## Scheduled job") == keys(ScheduledJobSchema) - keys(JobSchema)


def test_a_task_has_its_own_keys_and_those_of_a_step() -> None:
    assert documented("## Task") == keys(TaskSchema) - keys(StepSchema)


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_every_job_file_in_the_documentation_is_accepted(block: Block) -> None:
    parsers = {
        "yaml job": jobfile.parse_job,
        "yaml task": jobfile.parse_task,
        "yaml scheduled job": jobfile.parse_scheduled_job,
    }
    assert block.info in parsers, "say behind the fence whether it is a job, a scheduled job or a task"
    parsers[block.info](block.text.encode(), "text/yaml")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_accepted(example: Path) -> None:
    assert jobfile.parse_file(example.read_bytes(), "text/yaml").job.name


def test_the_readme_shows_the_hello_example_as_it_is() -> None:
    shown = next(block for block in YAML_BLOCKS if name(block.document) == "README.md")
    example = (ROOT / "examples" / "hello.yaml").read_bytes()
    assert jobfile.parse_task(shown.text.encode(), "text/yaml") == jobfile.parse_task(example, "text/yaml")
