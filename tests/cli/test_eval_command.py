"""`tork-celery eval` shows what an expression yields."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tork_celery.cli.eval import evaluate


def shown(*arguments: str) -> Result:
    return CliRunner().invoke(evaluate, arguments)


@pytest.mark.parametrize(
    ("expression", "yields"),
    [
        ("1 + 2", "3"),
        ("{{ 7 / 2 }}", "3.5"),
        ("1..3 | map(# * 2)", "[2, 4, 6]"),
        ('{"a": nil}', '{"a": null}'),
        ("'é'", '"é"'),
        ("duration('90s')", '"1m30s"'),
    ],
)
def test_the_value_is_shown_as_json(expression: str, yields: str) -> None:
    assert shown(expression).stdout.strip() == yields


@pytest.mark.parametrize(
    ("name", "text"), [("names.yaml", "inputs: {a: x}"), ("names.json", '{"inputs": {"a": "x"}}')]
)
def test_it_sees_the_names_of_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert shown("inputs.a + 'y'", "--context", str(tmp_path / name)).stdout.strip() == '"xy"'


def test_an_expression_that_fails_is_said() -> None:
    failed = shown("1 +")
    assert failed.exit_code == 1
    assert "of the expression `1 +`" in failed.output
