"""The benchmarks can be imported as `make bench` runs them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("bench", ["bench.run", "bench.api", "bench.paging", "bench.scale"])
def test_help_shows_the_usage(bench: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", bench, "--help"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )

    assert "usage: " in result.stdout
