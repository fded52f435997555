"""Queues: tasks go where their `queue` says, so many at a time, each on one node from its first step on."""

import itertools
from collections import Counter
from pathlib import Path

import docker
import pytest

from tests.eventually import eventually
from tests.system.installation import Installation, installed

IMAGE = "busybox:stable"
STAMP = "echo start $(cat /proc/uptime); echo end $(cat /proc/uptime)"
STEP = {"image": IMAGE, "run": STAMP}
TASKS = 20


def test_many_tasks_over_two_queues_and_two_workers(engine: docker.DockerClient, tmp_path: Path) -> None:
    """Every task's steps run on one node and in order, and no queue has more containers than slots."""
    del engine
    queues = ["default", "transcoding"]
    tasks = [
        {"name": f"t{number}", "queue": queue, **STEP, "pre": [STEP], "post": [STEP]}
        for number, queue in zip(range(TASKS), itertools.cycle(queues), strict=False)
    ]
    with installed(tmp_path / "data", "--queue", "default:2") as installation:
        installation.worker("transcoding", 3, name="transcoding@elsewhere")
        jobs = [installation.post("/task", task) for task in tasks]
        ended = [installation.ended_task(job["id"], within_s=240) for job in jobs]
        spans = {task["id"]: _spans(installation, task["id"]) for task in ended}
    assert Counter(task["state"] for task in ended) == {"COMPLETED": TASKS}
    by_queue = {queue: [task for task in ended if task["queue"] == queue] for queue in queues}
    assert {task["nodeId"] for task in by_queue["transcoding"]} == {"transcoding@elsewhere"}
    assert len({task["nodeId"] for task in by_queue["default"]}) == 1
    for found in spans.values():
        assert len(found) == 3
        assert [edge for span in found for edge in span] == sorted(edge for span in found for edge in span)
    assert _most_at_once([span for task in by_queue["transcoding"] for span in spans[task["id"]]]) <= 3
    assert _most_at_once([span for task in by_queue["default"] for span in spans[task["id"]]]) <= 2


def test_a_task_for_a_queue_that_nobody_serves_waits_for_a_worker(installation: Installation) -> None:
    waiting = installation.post("/task", {"name": "t", "queue": "rare", "image": IMAGE, "run": "true"})
    other = installation.run_task({"name": "t", "image": IMAGE, "run": "true"})
    assert other["state"] == "COMPLETED"
    assert installation.get(f"/task/{waiting['id']}")["state"] == "SCHEDULED"
    rare = {"name": "rare", "size": 1, "subscribers": 0, "unacked": 0}
    assert rare in installation.get("/queues")
    installation.worker("rare", 1, name="rare@late")
    assert installation.ended_task(waiting["id"])["nodeId"] == "rare@late"
    eventually(lambda: {"default", "rare"} <= {node["queue"] for node in _nodes(installation)})


@pytest.mark.covers("Task.priority")
def test_tasks_of_higher_priority_go_first(installation: Installation) -> None:
    """Those that wait when a worker with one slot comes."""
    task = {"name": "p", "queue": "single", "image": IMAGE, "run": "true"}
    posted = {
        priority: installation.post("/task", {**task, "priority": priority})["id"]
        for priority in (0, 4, 9, 5)
    }
    installation.worker("single", 1, name="single@late")
    begun = {priority: installation.ended_task(task_id)["startedAt"] for priority, task_id in posted.items()}
    assert sorted(begun, key=lambda priority: begun[priority]) == [9, 5, 4, 0]


@pytest.mark.parametrize("name", ["control", "node.x"])
def test_the_queues_of_the_system_are_refused(installation: Installation, name: str) -> None:
    with pytest.raises(AssertionError, match="queue"):
        installation.post("/task", {"name": "t", "queue": name, "image": IMAGE, "run": "true"})


def _nodes(installation: Installation) -> list[dict[str, str]]:
    return [
        {"queue": queue, **node}
        for node in installation.get("/nodes")
        for queue in node.pop("queue", "").split(",")
    ]


def _spans(installation: Installation, task_id: str) -> list[tuple[float, float]]:
    """When the containers of a task began and ended, by the clock of the machine."""
    lines = [line.split() for line in installation.log_of(f"/tasks/{task_id}").splitlines()]
    stamps = [float(words[1]) for words in lines if words[0] in ("start", "end")]
    return list(zip(stamps[::2], stamps[1::2], strict=True))


def _most_at_once(spans: list[tuple[float, float]]) -> int:
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    return max(itertools.accumulate(change for _, change in edges))
