"""Tasks in the whole system, with real containers."""

import re

import pytest

from tests.eventually import eventually
from tests.system.installation import Installation

IMAGE = "busybox:stable"


def test_result_is_the_output(installation: Installation) -> None:
    task = installation.run_task({"name": "hello", "image": IMAGE, "cmd": ["echo", "-n", "hello world"]})
    assert (task["state"], task["result"]) == ("COMPLETED", "hello world")


def test_output_file_takes_precedence_over_the_output(installation: Installation) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "run": "echo printed; echo -n written > $TORK_OUTPUT"}
    )
    assert task["result"] == "written"


def test_failed_step_fails_the_task_with_its_last_output(installation: Installation) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "run": "seq 1 20 >&2; echo broken >&2; exit 3"},
    )
    assert task["state"] == "FAILED"
    assert task["error"].startswith("exit code 3: ")
    assert task["error"].endswith("19\n20\nbroken")
    assert len(task["error"].splitlines()) == 10


def test_failed_pre_step_skips_the_main_step(installation: Installation) -> None:
    task = installation.run_task(
        {
            "name": "t",
            "image": IMAGE,
            "run": "echo main",
            "pre": [{"name": "p", "image": IMAGE, "run": "echo pre; exit 7"}],
        }
    )
    assert task["state"] == "FAILED"
    assert task["error"] == "exit code 7: pre"
    assert "main" not in installation.read_log(f"/tasks/{task['id']}")


@pytest.mark.covers("Task.pre", "Task.post")
def test_steps_share_volumes_and_run_in_order(installation: Installation) -> None:
    task = installation.run_task(
        {
            "name": "t",
            "image": IMAGE,
            "volumes": ["/shared"],
            "pre": [{"image": IMAGE, "run": "echo pre >> /shared/steps"}],
            "run": "echo main >> /shared/steps; cat /shared/steps > $TORK_OUTPUT",
            "post": [{"image": IMAGE, "run": "echo post >> /shared/steps; cat /shared/steps"}],
        }
    )
    assert task["result"] == "pre\nmain\n"
    assert installation.read_log(f"/tasks/{task['id']}").endswith("pre\nmain\npost\n")


@pytest.mark.covers("Step.env")
def test_container_sees_its_environment_files_and_ids(installation: Installation) -> None:
    task = installation.run_task(
        {
            "name": "t",
            "image": IMAGE,
            "env": {"GREETING": "hi there"},
            "files": {"data.txt": "from a file"},
            "run": "echo $GREETING; cat data.txt; echo; pwd; echo $TORK_TASK_ID $TORK_JOB_ID",
        }
    )
    assert task["result"].splitlines() == [
        "hi there",
        "from a file",
        "/tork/workdir",
        f"{task['id']} {task['jobId']}",
    ]


def test_step_that_exceeds_its_memory_limit_fails_with_that_error(installation: Installation) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "limits": {"memory": "16m"}, "run": "tail -c 100m /dev/zero"}
    )
    assert task["state"] == "FAILED"
    assert re.match(r"exit code 137: exceeded its memory limit of 16m", task["error"])


def test_timeout_covers_all_steps_of_a_task(installation: Installation) -> None:
    task = installation.run_task(
        {
            "name": "t",
            "image": IMAGE,
            "timeout": "2s",
            "pre": [{"image": IMAGE, "run": "sleep 1"}],
            "run": "sleep 60",
        }
    )
    assert (task["state"], task["error"]) == ("FAILED", "timed out after 2s")


def test_missing_image_fails_the_task_with_its_name(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": "no-such-image:1.0", "run": "true"})
    assert task["state"] == "FAILED"
    assert 'image "no-such-image:1.0" could not be pulled' in task["error"]


def test_missing_command_fails_the_task_with_its_name(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "cmd": ["no-such-command"]})
    assert task["state"] == "FAILED"
    assert "no-such-command" in task["error"]


def test_progress_is_shown_while_the_step_runs(installation: Installation) -> None:
    task = installation.post(
        "/task", {"name": "t", "image": IMAGE, "run": "echo 42 > $TORK_PROGRESS; sleep 60", "timeout": "20s"}
    )
    eventually(lambda: installation.get(f"/task/{task['id']}").get("progress") == 42)


@pytest.mark.covers("Job.tasks")
def test_tasks_of_a_job_run_in_order_and_store_results_by_var(installation: Installation) -> None:
    job = installation.post(
        "/jobs",
        {
            "name": "j",
            "tasks": [
                {"name": "one", "image": IMAGE, "run": "echo -n 1", "var": "first"},
                {"name": "two", "image": IMAGE, "run": "echo -n 2", "var": "second"},
            ],
        },
    )
    ended = installation.wait_for_job(job["id"])
    assert ended["state"] == "COMPLETED"
    assert ended["context"]["tasks"] == {"first": "1", "second": "2"}
    first, second = ended["execution"]
    assert first["completedAt"] <= second["startedAt"]


def test_failed_task_fails_its_job_with_its_error(installation: Installation) -> None:
    job = installation.post(
        "/jobs",
        {
            "name": "j",
            "tasks": [
                {"name": "one", "image": IMAGE, "run": "echo no; exit 1"},
                {"name": "two", "image": IMAGE, "run": "true"},
            ],
        },
    )
    ended = installation.wait_for_job(job["id"])
    assert (ended["state"], ended["error"]) == ("FAILED", "exit code 1: no")
    assert len(ended["execution"]) == 1


def test_long_result_is_truncated_with_a_note_in_the_log(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "run": "yes | head -c 70000"})
    assert len(task["result"]) == 64 * 1024
    assert installation.read_log(f"/tasks/{task['id']}").endswith(
        "longer than 65536 bytes, and was cut there\n"
    )
