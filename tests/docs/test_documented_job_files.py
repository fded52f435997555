"""The documentation of the job file agrees with the schemas, and every job file in it is valid."""

from pathlib import Path

import pytest

from scripts import key_tables
from tests.docs.documents import ROOT, Block, blocks, first_column, name, section, text_of
from tork_celery import jobfile
from tork_celery.api.user_schema import UserChangeSchema, UserSchema

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
YAML_BLOCKS = [block for block in blocks() if block.info.startswith("yaml")]


def test_tables_of_keys_are_those_of_the_schemas() -> None:
    page = text_of("docs/job-file.md")
    assert page == key_tables.updated(page), "run `python -m scripts.key_tables`"


def test_schema_without_a_table_is_an_error() -> None:
    page = text_of("docs/job-file.md").replace("## Limits\n", "## Something else\n")
    with pytest.raises(ValueError, match="no table below the heading `## Limits`"):
        key_tables.updated(page)


def test_keys_of_a_user_are_documented_with_the_route() -> None:
    api = text_of("docs/api.md")
    for heading, schema in (("POST /users", UserSchema()), ("PUT /users/{id}", UserChangeSchema())):
        keys = {field.data_key or name for name, field in schema.fields.items()}
        assert set(first_column(section(api, f"### `{heading}`"))) == keys


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_job_file_in_the_documentation_is_valid(block: Block) -> None:
    parsers = {
        "yaml job": jobfile.parse_job,
        "yaml task": jobfile.parse_task,
        "yaml scheduled job": jobfile.parse_scheduled_job,
    }
    assert block.info in parsers, "write `yaml job`, `yaml scheduled job` or `yaml task` after the fence"
    parsers[block.info](block.text.encode(), "text/yaml")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_is_valid(example: Path) -> None:
    assert jobfile.parse_file(example.read_bytes(), "text/yaml").job.name


def test_readme_shows_the_hello_example() -> None:
    shown = next(block for block in YAML_BLOCKS if name(block.document) == "README.md")
    example = (ROOT / "examples" / "hello.yaml").read_bytes()
    assert jobfile.parse_task(shown.text.encode(), "text/yaml") == jobfile.parse_task(example, "text/yaml")
