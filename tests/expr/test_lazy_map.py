"""Maps whose values are loaded when an expression reads them."""

from collections.abc import Iterator

import pytest

from tests.expr.hosts import HOST
from tork_celery.expr import Budget, ExpressionError, LazyMap, evaluate, limits, render


class Source:
    """Two values. `read` has the keys that were read, `*` for all of them."""

    def __init__(self) -> None:
        self.values = {"a": "1", "b-c": "2"}
        self.read: list[str] = []

    def get(self, key: str, /) -> str | None:
        self.read.append(key)
        return self.values.get(key)

    def items(self) -> Iterator[tuple[str, str]]:
        self.read.append("*")
        yield from self.values.items()


@pytest.mark.parametrize(
    ("source", "value", "read"),
    [
        ("tasks.a", "1", ["a"]),
        ("tasks?.a + tasks['b-c']", "12", ["a", "b-c"]),
        ("let key = 'a'; tasks[key]", "1", ["a"]),
        ("tasks.none ?? 'default'", "default", ["none"]),
        ("1 + 1", 2, []),
        ("len(tasks)", 2, ["*"]),
        ("'a' in tasks and 'x' not in tasks", True, ["*"]),
        ("keys(tasks)", ["a", "b-c"], ["*"]),
        ("let map_ = tasks; map_.a", "1", ["*"]),
        ("$env.tasks.a", "1", ["*"]),
        ("tasks == {'a': '1', 'b-c': '2'}", True, ["*"]),
        ("get(tasks, 'a')", "1", ["*"]),
        ("tasks", {"a": "1", "b-c": "2"}, ["*"]),
        ("type(tasks)", "map", ["*"]),
    ],
)
def test_values_are_loaded_on_demand(source: str, value: object, read: list[str]) -> None:
    tasks = Source()

    assert evaluate(source, {"tasks": LazyMap(tasks)}, HOST) == value
    assert tasks.read == read


def test_map_is_loaded_once() -> None:
    tasks = Source()
    names = {"tasks": LazyMap(tasks)}

    assert render("{{ tasks }} {{ len(tasks) }} {{ tasks.a }}", names, HOST) == '{"a":"1","b-c":"2"} 2 1'
    assert tasks.read == ["*"]


def test_key_that_is_no_string_is_refused() -> None:
    with pytest.raises(ExpressionError, match="the map has no key of type float"):
        evaluate("tasks[fromJSON('0')]", {"tasks": LazyMap(Source())}, HOST)


def test_loaded_text_counts_as_steps() -> None:
    tasks = Source()
    tasks.values["a"] = "x" * 100_000
    budget = Budget(1_000)

    evaluate("tasks.a == nil", {"tasks": LazyMap(tasks)}, HOST, budget=budget)

    assert 1_000 - budget.left > 100_000 >> 8


def test_map_that_is_too_large_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOADED_CHARS", 1)
    names = {"tasks": LazyMap(Source())}

    assert evaluate("tasks.a", names, HOST) == "1"
    with pytest.raises(ExpressionError, match="read single values by their keys"):
        evaluate("len(tasks)", names, HOST)
