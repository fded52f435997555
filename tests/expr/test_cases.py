"""The answers of the reference implementation, expression by expression."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.expr.hosts import HOST
from tork_celery import expr
from tork_celery.expr import type_name
from tork_celery.expr.evaluation import standalone_frame
from tork_celery.expr.values.go_format import format_value

_LINES = (Path(__file__).parent / "cases.jsonl").read_text(encoding="utf-8").splitlines()
_CONTEXT: dict[str, Any] = json.loads(_LINES[0])["context"]
_CASES: list[dict[str, Any]] = [json.loads(line) for line in _LINES[1:]]

# Expressions where this implementation differs on purpose, each with its reason. None is left.
_DIFFERENCES: dict[str, str] = {}


def _expected(case: dict[str, Any]) -> Any:
    value = case["value"]
    if isinstance(value, dict) and "$float" in value:
        return float(value["$float"].lower())
    # Go writes a list that was never made as null; its kind is still a list.
    return [] if case["kind"] == "array" and value is None else value


def _agrees(case: dict[str, Any]) -> bool:
    try:
        value = expr.evaluate(case["expr"], _CONTEXT, HOST)
    except expr.ExpressionError:
        return "error" in case
    if "error" in case or type_name(value) != case["kind"]:
        return False
    if case["kind"] in {"array", "map"}:
        return bool(value == _expected(case))
    return format_value(standalone_frame(), value) == case["text"]


def _scalars() -> Iterator[dict[str, Any]]:
    return (case for case in _CASES if case.get("kind") in {"int", "float", "string", "bool", "nil"})


def test_the_table_is_whole() -> None:
    assert len(_CASES) == 1_561


def test_every_case_agrees_with_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    """Values in kind too, and what the reference refuses is refused; the table by feature is printed."""
    asked: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    wrong = []
    for case in _CASES:
        asked[case["tag"]] += 1
        if _agrees(case):
            agreed[case["tag"]] += 1
        else:
            wrong.append(case["expr"])
    rows = [f"{tag:22}{agreed[tag]:4} of{count:4}" for tag, count in asked.items()]
    with capsys.disabled():
        print(f"\n{sum(agreed.values())} of {len(_CASES)} cases agree, by feature:")
        for start in range(0, len(rows), 3):
            print("  ".join(rows[start : start + 3]))
    assert sorted(wrong) == sorted(_DIFFERENCES)


def test_scalars_have_the_value_of_the_reference() -> None:
    """Beside the text, which the test above compares."""
    for case in _scalars():
        value, wanted = expr.evaluate(case["expr"], _CONTEXT, HOST), _expected(case)
        assert value == wanted or (value != value and wanted != wanted), case["expr"]  # noqa: PLR0124 - NaN


def test_no_case_changes_its_context() -> None:
    before = json.dumps(_CONTEXT)
    for case in _CASES[::5]:
        _agrees(case)
    assert json.dumps(_CONTEXT) == before
