"""Our records and those of libraries go to stderr, in one format."""

import json
import re
import subprocess
import sys
from pathlib import Path

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


SECRETS = """
import logging, structlog
from tork_celery import log_config, log_masks
from tork_celery.domain.masking import MaskedValues
log_config.configure("INFO")
log = structlog.get_logger("ours")
with log_masks.masking(MaskedValues(["hunter2", "202"]).mask):
    log.warning("step.engine_away", step="abc-202", reason='image "127.0.0.1/hunter2/x:1" is away')
    logging.getLogger("a.library").warning("no answer from %s", "hunter2")
    try:
        raise ValueError("hunter2 is wrong")
    except ValueError as error:
        log.error("request.failed", exc_info=error)
log.warning("step.done", reason="hunter2")
"""


def test_secrets_of_running_steps_are_masked_in_texts_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SECRETS], check=True, capture_output=True, text=True, timeout=60
    )

    running, ended = done.stderr.split("event=step.done")
    assert "hunter2" not in running
    assert "127.0.0.1/[REDACTED]/x:1" in running
    assert 'event="no answer from [REDACTED]"' in running
    assert "ValueError: [REDACTED] is wrong" in running
    assert "step=abc-202" in running
    assert "timestamp=202" in running
    assert "hunter2" in ended


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


FORMATS = """
import logging, structlog, sys, warnings
from tork_celery import log_config
log_config.configure("INFO", log_format=sys.argv[1], library_log=sys.argv[2])
structlog.get_logger("tork_celery.worker").info("task.claimed", task_id="t")
logging.getLogger("celery").info("a banner")
logging.getLogger("celery").error("an error")
warnings.warn("superuser")
"""


def run_with(log_format: str, library_log: Path | str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", FORMATS, log_format, str(library_log)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr


def test_json_is_one_object_a_line(tmp_path: Path) -> None:
    records = [json.loads(line) for line in run_with("json", tmp_path / "log").splitlines()]

    assert [(record["level"], record["event"]) for record in records] == [
        ("info", "task.claimed"),
        ("error", "an error"),
    ]
    assert records[0]["task_id"] == "t"


def test_human_lines_have_the_time_of_day_and_no_logger(tmp_path: Path) -> None:
    first = run_with("human", tmp_path / "log").splitlines()[0]

    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info *\] task.claimed +task_id=t", first)


def test_messages_of_libraries_go_to_their_file(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "worker.log"

    shown = run_with("logfmt", file)

    kept = file.read_text()
    assert "a banner" not in shown
    assert "superuser" not in shown
    assert "an error" in shown
    assert "a banner" in kept
    assert "superuser" in kept
    assert "task.claimed" not in kept
