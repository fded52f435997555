"""Our records and those of libraries go to stderr, in one format."""

import subprocess
import sys

PROGRAM = """
import logging, structlog
from tork_celery import log_config
log_config.configure("INFO")
structlog.get_logger("ours").info("task.claimed", task_id="t", ok=True)
structlog.get_logger("ours").debug("not.shown")
logging.getLogger("a.library").warning("something %s", "happened")
logging.getLogger("kombu").info("not shown either")
try:
    raise ValueError("a bug")
except ValueError as error:
    structlog.get_logger("ours").error("request.failed", exc_info=error)
"""


def test_each_record_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=60
    )

    lines = [line for line in done.stderr.splitlines() if line.startswith("timestamp=")]
    assert done.stdout == ""
    assert len(lines) == 3
    assert "level=info event=task.claimed task_id=t ok=true" in lines[0]
    assert 'level=warning event="something happened"' in lines[1]
    assert "ValueError: a bug" in done.stderr
    assert "not" not in done.stderr.replace("request.failed", "")
