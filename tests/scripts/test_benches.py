"""The benches begin, with the path that `make bench` gives them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("bench", ["bench.run", "bench.paging"])
def test_it_says_what_it_takes(bench: str) -> None:
    said = subprocess.run(
        [sys.executable, "-m", bench, "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )

    assert "usage: " in said.stdout
