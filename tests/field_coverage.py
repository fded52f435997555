"""Pytest plugin: every field of job files and API responses is covered by a test that ran and passed.

A test names the fields whose effect it asserts: `@pytest.mark.covers("Limits.cpus", "Task.limits")`. A name
is that of a schema, in the job file or in `/openapi.json`, a dot, and the key as clients write it.

A run of the whole test tree fails when no test that passed covers a field, or when a test covers a field that
does not exist. A test that `-m` deselects counts as passed: `make unit` and `make test` run two parts of the
tree, one after the other.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

_COVERS = "covers"
_DESELECTED = "deselected_fields"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_COVERS}(*fields): the fields whose effect the test asserts")
    config.pluginmanager.register(_FieldCoverage(config))


class _FieldCoverage:
    """Records which fields are covered. With xdist, the workers record and the controller decides."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._covered = set[str]()
        self._deselected = set[str]()
        self._errors = list[str]()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the fields of each test into its reports."""
        for item in items:
            item.user_properties += [(_COVERS, field) for field in _fields_of(item)]

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note the fields of deselected tests, except those of tests that `make test` never runs."""
        for item in items:
            if item.get_closest_marker("servers") is None:
                self._deselected.update(_fields_of(item))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._covered |= {str(field) for name, field in report.user_properties if name == _COVERS}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Read the fields that an xdist worker deselected."""
        self._deselected.update(getattr(node, "workeroutput", {}).get(_DESELECTED, ()))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_DESELECTED] = list(self._deselected)
        elif session.exitstatus == pytest.ExitCode.OK and self._is_whole_run():
            self._errors = list(_errors(self._covered | self._deselected))
            if self._errors:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._errors:
            terminalreporter.section("field coverage", red=True)
            for error in self._errors:
                terminalreporter.write_line(error)

    def _is_whole_run(self) -> bool:
        options = self._config.option
        is_narrowed = (
            options.collectonly
            or options.keyword
            or options.deselect
            or options.ignore
            or getattr(options, "lf", False)
        )
        return self._config.args_source is pytest.Config.ArgsSource.TESTPATHS and not is_narrowed


def all_fields() -> Iterator[str]:
    """Yield every field once, as `Schema.key`. A field that a schema inherits is the field of its base."""
    from scripts import key_tables  # noqa: PLC0415  most runs check nothing
    from tork_celery.api.response_schemas import SCHEMAS  # noqa: PLC0415
    from tork_celery.api.user_schema import UserChangeSchema, UserSchema  # noqa: PLC0415
    from tork_celery.jobfile import json_schema  # noqa: PLC0415

    schemas = key_tables.documented_schemas()
    schemas += [UserSchema, UserChangeSchema]
    for schema in schemas:
        yield from (f"{json_schema.name_of(schema)}.{key}" for key in key_tables.own_keys(schema))
    for name, document in SCHEMAS.items():
        summary = SCHEMAS.get(name.replace("Response", "Summary"), {}) if name.endswith("Response") else {}
        inherited = summary.get("properties", {})
        yield from (f"{name}.{key}" for key in document.get("properties", ()) if key not in inherited)


def _errors(covered: set[str]) -> Iterator[str]:
    fields = set(all_fields())
    yield from (f"no passed test covers {field}" for field in sorted(fields - covered))
    yield from (f"a test covers {field}, which does not exist" for field in sorted(covered - fields))


def _fields_of(item: pytest.Item) -> set[str]:
    return {field for marker in item.iter_markers(_COVERS) for field in marker.args}
