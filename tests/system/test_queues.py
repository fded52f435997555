"""Tasks run on the workers of their queue, at most one per slot, with all steps on one node."""

import itertools
from collections import Counter
from pathlib import Path

import docker
import pytest

from tests.eventually import eventually
from tests.system.installation import Installation, running_installation

IMAGE = "busybox:stable"
PRINT_TIMES = "echo start $(cat /proc/uptime); echo end $(cat /proc/uptime)"
STEP = {"image": IMAGE, "run": PRINT_TIMES}
TASKS = 20


def test_tasks_of_two_queues_run_on_their_workers_within_their_slots(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    """The steps of a task also run in order."""
    del engine  # only started
    queues = ["default", "transcoding"]
    tasks = [
        {"name": f"t{number}", "queue": queue, **STEP, "pre": [STEP], "post": [STEP]}
        for number, queue in zip(range(TASKS), itertools.cycle(queues), strict=False)
    ]
    with running_installation(tmp_path / "data", "--queue", "default:2") as installation:
        installation.start_worker("transcoding", 3, name="transcoding@elsewhere")
        jobs = [installation.post("/task", task) for task in tasks]
        ended = [installation.wait_for_task(job["id"], within_s=240) for job in jobs]
        spans = {task["id"]: _spans(installation, task["id"]) for task in ended}
    assert Counter(task["state"] for task in ended) == {"COMPLETED": TASKS}
    by_queue = {queue: [task for task in ended if task["queue"] == queue] for queue in queues}
    assert {task["nodeId"] for task in by_queue["transcoding"]} == {"transcoding@elsewhere"}
    assert len({task["nodeId"] for task in by_queue["default"]}) == 1
    for task_spans in spans.values():
        assert len(task_spans) == 3
        times = [time for span in task_spans for time in span]
        assert times == sorted(times)
    assert _max_concurrency([span for task in by_queue["transcoding"] for span in spans[task["id"]]]) <= 3
    assert _max_concurrency([span for task in by_queue["default"] for span in spans[task["id"]]]) <= 2


def test_task_of_a_queue_without_workers_waits_for_one(installation: Installation) -> None:
    waiting = installation.post("/task", {"name": "t", "queue": "rare", "image": IMAGE, "run": "true"})
    other = installation.run_task({"name": "t", "image": IMAGE, "run": "true"})
    assert other["state"] == "COMPLETED"
    assert installation.get(f"/task/{waiting['id']}")["state"] == "SCHEDULED"
    queue = {"name": "rare", "size": 1, "subscribers": 0, "unacked": 0}
    assert queue in installation.get("/queues")
    installation.start_worker("rare", 1, name="rare@late")
    assert installation.wait_for_task(waiting["id"])["nodeId"] == "rare@late"
    eventually(lambda: {"default", "rare"} <= {node["queue"] for node in _nodes(installation)})


@pytest.mark.covers("Task.priority")
def test_waiting_tasks_start_by_priority(installation: Installation) -> None:
    task = {"name": "p", "queue": "single", "image": IMAGE, "run": "true"}
    posted = {
        priority: installation.post("/task", {**task, "priority": priority})["id"]
        for priority in (0, 4, 9, 5)
    }
    installation.start_worker("single", 1, name="single@late")
    starts = {
        priority: installation.wait_for_task(task_id)["startedAt"] for priority, task_id in posted.items()
    }
    assert sorted(starts, key=lambda priority: starts[priority]) == [9, 5, 4, 0]


@pytest.mark.parametrize("name", ["control", "node.x"])
def test_reserved_queue_is_rejected(installation: Installation, name: str) -> None:
    with pytest.raises(AssertionError, match="queue"):
        installation.post("/task", {"name": "t", "queue": name, "image": IMAGE, "run": "true"})


def _nodes(installation: Installation) -> list[dict[str, str]]:
    return [
        {"queue": queue, **node}
        for node in installation.get("/nodes")
        for queue in node.pop("queue", "").split(",")
    ]


def _spans(installation: Installation, task_id: str) -> list[tuple[float, float]]:
    """Return when the containers of a task started and ended, in seconds since the machine's boot."""
    lines = [line.split() for line in installation.read_output(f"/tasks/{task_id}").splitlines()]
    stamps = [float(words[1]) for words in lines if words[0] in ("start", "end")]
    return list(zip(stamps[::2], stamps[1::2], strict=True))


def _max_concurrency(spans: list[tuple[float, float]]) -> int:
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    return max(itertools.accumulate(change for _, change in changes))
