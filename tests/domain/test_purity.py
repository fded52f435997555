"""The domain reads no clock. A contract in setup.cfg forbids imports for I/O, randomness and environment."""

import ast
from pathlib import Path

import pytest

import tork_celery.domain

[FOLDER] = tork_celery.domain.__path__
CLOCKS = {"now", "today", "utcnow"}


@pytest.mark.parametrize("path", sorted(Path(FOLDER).rglob("*.py")), ids=lambda path: path.name)
def test_module_reads_no_clock(path: Path) -> None:
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert calls == []
