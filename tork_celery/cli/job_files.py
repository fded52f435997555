"""Job files: read from a path or from stdin, or made of a stored job."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tork_celery import jobfile
from tork_celery.domain.errors import InvalidInput

STDIN = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """The bytes of a job file. `name` is how messages call it."""

    name: str
    body: bytes
    media_type: str


def read_source(file: Path) -> JobSource:
    """Read a job file; `-` is stdin. Raises InvalidInput for a file that cannot be read."""
    if file == STDIN:
        return JobSource(name="stdin", body=sys.stdin.buffer.read(), media_type="text/yaml")
    try:
        body = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error
    return JobSource(name=str(file), body=body, media_type=jobfile.media_type_of(file.name))
