"""Amounts of CPU and memory in the notation of Docker: cpus "0.5", memory "500m"."""

import math
import re
from decimal import Decimal

_CPUS = re.compile(r"(?=\.?[0-9])[0-9]{0,6}(\.[0-9]{1,9})?", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})(\.[0-9]{1,9})? ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_UNIT_STEP = 1024
_MIN_MEMORY_BYTES = 6 * 2**20  # the engine rejects less


def nano_cpus(text: str) -> int:
    """Return billionths of a CPU, the unit of the engine. Raises ValueError."""
    if not _CPUS.fullmatch(text) or not (amount := int(Decimal(text) * 1_000_000_000)):
        raise ValueError(f"{text[:40]!r} is not a number of CPUs; write it like 0.5 or 2")
    return amount


def memory_bytes(text: str) -> int:
    """Return the memory limit of a container in bytes. Raises ValueError."""
    amount = size_bytes(text)
    if amount < _MIN_MEMORY_BYTES:
        raise ValueError(f"{text[:40]!r} is too little memory for a container; at least 6m is needed")
    return amount


def format_size(size_bytes: float) -> str:
    """Return a size in this notation, with at most one decimal place: 10g, 1.5m, 512."""
    unit = ""
    for larger in ("k", "m", "g", "t", "p"):
        if size_bytes < _UNIT_STEP:
            break
        size_bytes, unit = size_bytes / _UNIT_STEP, larger
    return f"{math.floor(size_bytes * 10) / 10:g}{unit}"


def size_bytes(text: str) -> int:
    """Return a size in bytes. The units are powers of 1024, as in Docker. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    amount = int(Decimal(match[1] + (match[2] or "")) * _UNITS[match[3].lower()]) if match else 0
    if not 0 < amount < 2**63:
        raise ValueError(f"{text[:40]!r} is not a size; write it like 500m or 2g")
    return amount
