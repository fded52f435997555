"""Standalone mode reports its start in a few lines for people, or as records."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.store.stores import FlakyDatabase, database, store_job, store_task
from tork_celery.cli.standalone.start_report import Reporter, StartReport, resumed_tasks
from tork_celery.domain.states import TaskState

__all__ = ["database"]

REPORT = StartReport(
    url="http://127.0.0.1:3000",
    queues={"default": 2, "slow": 1},
    engine="Docker Engine 27",
    data_dir=Path("/data"),
    resumed="",
)


def test_people_read_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(human=True).started(REPORT)

    printed = capsys.readouterr()
    lines = [" ".join(line.split()) for line in printed.err.splitlines()]
    assert printed.out == ""
    assert lines[0].startswith("tork-celery ")
    assert lines[1:] == [
        "API http://127.0.0.1:3000 (docs at http://127.0.0.1:3000/docs)",
        "queues default with 2 slots, slow with 1 slot",
        "engine Docker Engine 27",
        "data /data",
        "ready: listening on http://127.0.0.1:3000, serving default:2, slow:1; stop with Ctrl-C",
    ]


def test_programs_read_records() -> None:
    with capture_logs() as records:
        Reporter(human=False).started(REPORT)
        Reporter(human=False).say("stopping")

    assert [record["event"] for record in records] == ["standalone.ready", "standalone.event"]
    assert records[0]["message"] == "ready: listening on http://127.0.0.1:3000, serving default:2, slow:1"
    assert records[0]["engine"] == "Docker Engine 27"
    assert records[1]["message"] == "stopping"


def test_resumed_tasks_are_counted(database: FlakyDatabase) -> None:
    assert resumed_tasks(database) == ""

    store_job(database)
    store_task(database, state=TaskState.RUNNING, node="n")

    assert resumed_tasks(database) == "1 running and 1 waiting tasks"
