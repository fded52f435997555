"""What several benchmarks share: durations, percentiles, memory, and the machine."""

import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.system.installation import Installation


def duration_s(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that at least `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def processes(system: Installation) -> list[psutil.Process]:
    """Return the processes of a running system."""
    assert system.process is not None
    parent = psutil.Process(system.process.pid)
    return [parent, *parent.children(recursive=True)]


def memory_mb(system: Installation) -> dict[str, float]:
    """Return the unshared memory (USS) of each process of the system."""
    return {
        f"{process.name()}-{process.pid}": process.memory_full_info().uss / 1e6
        for process in processes(system)
    }


def machine() -> dict[str, Any]:
    return {
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def write_json(path: Path, figures: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
