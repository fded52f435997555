"""The tasks of the Celery app use the process that the worker has set."""

from typing import cast

import pytest

from tork_celery.node_process import NodeProcess
from tork_celery.tasks.app import CurrentProcess


def test_missing_process_is_reported() -> None:
    with pytest.raises(RuntimeError, match="celery -A tork_celery worker"):
        CurrentProcess().get()


def test_process_is_set_once_it_is_built() -> None:
    process = cast(NodeProcess, object())
    current = CurrentProcess()

    current.set(process)

    assert current.get() is process
