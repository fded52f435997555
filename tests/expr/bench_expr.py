"""Measure the evaluation of short expressions: `python -m tests.expr.bench_expr`."""

import timeit

from tests.expr.hosts import HOST
from tork_celery import expr
from tork_celery.expr.syntax.parser import parse

_CONTEXT = {"inputs": {"count": "3", "name": "World"}, "item": {"index": "2", "value": {"start": 10}}}
_CASES = (
    'item.value.start + 2 > 3 && inputs.name != ""',
    '"Hello, " + inputs.name + "!"',
    "int(inputs.count) * 2 + 1 == 7 ? 1 : 2",
    "map(1..100, # * 2)",
)
_ROUNDS, _REPEATS = 2_000, 7


def _microseconds(source: str) -> float:
    expr.evaluate(source, _CONTEXT, HOST)
    best = min(timeit.repeat(lambda: expr.evaluate(source, _CONTEXT, HOST), number=_ROUNDS, repeat=_REPEATS))
    return best / _ROUNDS * 1e6


def main() -> None:
    for source in _CASES:
        print(f"{_microseconds(source):8.2f} us  {parse(source).size:3} nodes  {source}")


if __name__ == "__main__":
    main()
