"""Expressions have the results of the reference implementation, which are recorded in cases.jsonl."""

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

# Expressions whose result differs on purpose, each with the reason.
_INTENDED_DIFFERENCES: dict[str, str] = {}


def _expected(case: dict[str, Any]) -> Any:
    value = case["value"]
    if isinstance(value, dict) and "$float" in value:
        return float(value["$float"].lower())
    # Go encodes a nil slice as null.
    return [] if case["kind"] == "array" and value is None else value


def _equals_reference(case: dict[str, Any]) -> bool:
    try:
        value = expr.evaluate(case["expr"], _CONTEXT, HOST)
    except expr.ExpressionError:
        return "error" in case
    if "error" in case or type_name(value) != case["kind"]:
        return False
    if case["kind"] in {"array", "map"}:
        return bool(value == _expected(case))
    return format_value(standalone_frame(), value) == str(case["text"])


def _scalars() -> Iterator[dict[str, Any]]:
    return (case for case in _CASES if case.get("kind") in {"int", "float", "string", "bool", "nil"})


def test_no_case_is_missing() -> None:
    assert len(_CASES) == 1_561


def test_results_equal_those_of_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    """Compare types, texts and errors, and print the number of equal cases by feature."""
    total: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    different = []
    for case in _CASES:
        total[case["tag"]] += 1
        if _equals_reference(case):
            equal[case["tag"]] += 1
        else:
            different.append(case["expr"])
    rows = [f"{tag:22}{equal[tag]:4} of{count:4}" for tag, count in total.items()]
    with capsys.disabled():
        print(f"\n{sum(equal.values())} of {len(_CASES)} cases equal the reference, by feature:")
        for start in range(0, len(rows), 3):
            print("  ".join(rows[start : start + 3]))
    assert sorted(different) == sorted(_INTENDED_DIFFERENCES)


def test_scalar_values_equal_those_of_the_reference() -> None:
    for case in _scalars():
        value, expected = expr.evaluate(case["expr"], _CONTEXT, HOST), _expected(case)
        assert value == expected or (value != value and expected != expected), case["expr"]  # noqa: PLR0124 - NaN


def test_evaluation_does_not_change_the_context() -> None:
    before = json.dumps(_CONTEXT)
    for case in _CASES[::5]:
        _equals_reference(case)
    assert json.dumps(_CONTEXT) == before
