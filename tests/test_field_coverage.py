"""A run of the whole test tree fails when a field of the job file or of a response is not covered."""

from pathlib import Path

import pytest

from tests.field_coverage import all_fields

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
UNIT, *ENGINE = sorted(all_fields())


@pytest.fixture
def tree(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a test tree in which a unit test covers one field and an engine test all others."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\ntestpaths = suite\nmarkers =\n  engine\n  servers\n")
    pytester.makeconftest('pytest_plugins = ["tests.field_coverage"]')
    write(pytester, unit=[UNIT], engine=ENGINE)
    return pytester


def write(tree: pytest.Pytester, *, unit: list[str], engine: list[str], body: str = "pass") -> None:
    directory = tree.path / "suite"
    directory.mkdir(exist_ok=True)
    (directory / "test_all.py").write_text(f"""\
import pytest

@pytest.mark.covers(*{unit})
def test_unit():
    {body}

@pytest.mark.engine
@pytest.mark.covers(*{engine})
def test_engine():
    pass

def test_nothing():
    pass
""")


def run(tree: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return tree.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["-m", "not engine"]])
def test_covered_fields_pass(tree: pytest.Pytester, arguments: list[str]) -> None:
    assert run(tree, *arguments).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("arguments", [[], ["-n", "1", "-m", "engine"]])
def test_uncovered_field_fails_the_run(tree: pytest.Pytester, arguments: list[str]) -> None:
    write(tree, unit=[], engine=ENGINE)

    result = run(tree, *arguments)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(f"no passed test covers {UNIT}")


def test_skipped_test_covers_nothing(tree: pytest.Pytester) -> None:
    write(tree, unit=[UNIT], engine=ENGINE, body="pytest.skip()")

    result = run(tree)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(f"no passed test covers {UNIT}")


def test_unknown_field_fails_the_run(tree: pytest.Pytester) -> None:
    write(tree, unit=[UNIT, "Limits.gone"], engine=ENGINE)

    result = run(tree)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("a test covers Limits.gone, which does not exist")


@pytest.mark.parametrize("arguments", [["suite/test_all.py"], ["-k", "nothing"]])
def test_partial_run_checks_nothing(tree: pytest.Pytester, arguments: list[str]) -> None:
    write(tree, unit=[], engine=[])

    assert run(tree, *arguments).ret == pytest.ExitCode.OK
