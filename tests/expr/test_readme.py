"""The package's README: its example runs, and its tables are complete."""

import re
from pathlib import Path

import pytest

from tork_celery import expr
from tork_celery.expr import limits
from tork_celery.expr.builtins import FUNCTIONS
from tork_celery.expr.builtins.predicates import PREDICATE_FUNCTIONS

PACKAGE = Path(expr.__file__).parent
README = (PACKAGE / "README.md").read_text()
MODULES = sorted(
    path.stem for path in PACKAGE.rglob("*.py") if path.parent == PACKAGE or path.stem != "__init__"
)


def section(heading: str) -> str:
    """Return the text between a heading of the second level and the next one."""
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_example_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

    exec(example, {})


@pytest.mark.parametrize("name", [name for name in expr.__all__ if name.islower()])
def test_public_function_is_listed(name: str) -> None:
    assert f"`{name}(" in section("Usage")


@pytest.mark.parametrize("name", [*FUNCTIONS, *PREDICATE_FUNCTIONS])
def test_language_function_is_listed(name: str) -> None:
    assert re.search(rf"`{name}[`(]", section("The language in one page"))


@pytest.mark.parametrize("module", MODULES)
def test_module_is_listed(module: str) -> None:
    assert f"`{module}`" in section("Layout")


def test_limits_have_the_documented_values() -> None:
    numbers = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d", section("Limits"))}

    assert numbers == {
        limits.SOURCE_CHARS,
        limits.DEPTH,
        limits.STEPS,
        limits.TEXT_CHARS,
        limits.TEMPLATE_CHARS,
    }
