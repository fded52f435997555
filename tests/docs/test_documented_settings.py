"""The settings that the documentation lists are those that there are."""

from dataclasses import fields
from pathlib import Path

import pytest

from tests.docs.documents import first_column, section, text_of
from tork_celery import settings
from tork_celery.settings import Settings

SECTION = section(text_of("docs/deployment.md"), "## Settings")


def shown_default(variable: str) -> str:
    """The code in the second column of a setting's row."""
    row = next(line for line in SECTION.splitlines() if line.startswith(f"| `{variable}`"))
    shown = row.split("|")[2].strip().strip("`")
    return "" if shown == "empty" else shown


def test_every_setting_is_in_the_table_once_and_nothing_else_is() -> None:
    there_are = sorted(settings.variable(field.name) for field in fields(Settings))
    assert sorted(first_column(SECTION)) == there_are


@pytest.mark.parametrize(
    "name",
    [
        field.name
        for field in fields(Settings)
        if field.name not in ("data_dir", "broker_ca", "datastore_url", "docker_url", "body_limit_bytes")
    ],
)
def test_the_default_in_the_table_is_the_default(name: str) -> None:
    variable = settings.variable(name)
    given = Settings.load({variable: shown_default(variable)})
    assert getattr(given, name) == getattr(Settings.load({}), name)


def test_defaults_that_are_places_are_in_the_table_too() -> None:
    plain = Settings.load({})
    assert Path(shown_default("TORK_DATA_DIR")).expanduser().resolve() == plain.data_dir
    shown = shown_default("TORK_DATASTORE_URL").replace("DATA_DIR", str(plain.data_dir))
    assert shown == plain.datastore_url
    assert shown_default("TORK_BODY_LIMIT") == f"{plain.body_limit_bytes // 2**20}m"


def test_the_example_environment_names_settings_only() -> None:
    lines = [line for line in text_of(".env.example").splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    others = {name for name in given if not name.startswith(settings.PREFIX)}
    assert others == {"FLOWER_BASIC_AUTH", "PORT"}
    assert set(given) - others <= {settings.variable(field.name) for field in fields(Settings)}
    Settings.load(given)
