"""`tork-celery eval` prints the value of an expression."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tork_celery.cli.commands.eval import evaluate


def run(*arguments: str) -> Result:
    return CliRunner().invoke(evaluate, arguments)


@pytest.mark.parametrize(
    ("expression", "output"),
    [
        ("1 + 2", "3"),
        ("{{ 7 / 2 }}", "3.5"),
        ("1..3 | map(# * 2)", "[2, 4, 6]"),
        ('{"a": nil}', '{"a": null}'),
        ("'é'", '"é"'),
        (r"""fromJSON('"\\ud800"')""", r'"\ud800"'),
        ("duration('90s')", '"1m30s"'),
        ("now().Year() > 2000", "true"),
        ("randomInt(1)", "0"),
    ],
)
def test_value_is_printed_as_json(expression: str, output: str) -> None:
    assert run(expression).stdout.strip() == output


@pytest.mark.parametrize(
    ("name", "text"), [("names.yaml", "inputs: {a: x}"), ("names.json", '{"inputs": {"a": "x"}}')]
)
def test_context_is_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert run("inputs.a + 'y'", "--context", str(tmp_path / name)).stdout.strip() == '"xy"'


def test_invalid_expression_is_an_error() -> None:
    result = run("1 +")

    assert result.exit_code == 1
    assert "of the expression `1 +`" in result.output


@pytest.mark.parametrize("expression", ["1/0", "0 - 1/0", "0/0", "[{'a': 1/0}]"])
def test_number_that_json_does_not_have_is_an_error(expression: str) -> None:
    done = run(expression)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "NaN or an infinity, which JSON does not have" in done.stderr
