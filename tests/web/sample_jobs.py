"""A datastore with jobs in all states, for tests of pages and for screenshots."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.domain.samples import each, job_definition, leaf, new_id, parallel
from tork_celery.domain import scheduled_job
from tork_celery.domain.definition import JobDefinition, Schedule, StepDefinition, TaskDefinition
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import Job, StepRef, Task
from tork_celery.domain.node import Node
from tork_celery.domain.states import JobState, TaskState
from tork_celery.store import Database, jobs, logs, nodes, scheduled_jobs, tasks

HOSTILE = "<script>document.title='attacked'</script>\x1b[31m<b>red</b>\x1b[0m"
"""Text that must be shown as it is, without its escape sequences."""


def store_job(database: Database, definition: JobDefinition, state: JobState, **values: Any) -> Job:
    """Store a job in a state, without tasks."""
    now = time.time()
    defaults: dict[str, Any] = {"created_at": now - 100, "id": new_id()}
    job = Job(definition=definition, state=state, **(defaults | values))
    with database.transaction() as tx:
        jobs.add(tx, [job])
    return job


def store_tasks(
    database: Database, job: Job, *definitions: tuple[TaskDefinition, dict[str, Any]]
) -> list[Task]:
    """Store tasks of a job with these values, which may have a `state`."""
    stored = []
    for position, (definition, values) in enumerate(definitions, start=1):
        defaults: dict[str, Any] = {
            "id": new_id(),
            "job_id": job.id,
            "job_name": job.definition.name,
            "job_created_at": job.created_at,
            "created_at": job.created_at,
            "position": position,
            "state": TaskState.COMPLETED,
            "definition": definition,
        }
        stored.append(Task(**(defaults | values)))
    with database.transaction() as tx:
        tasks.add(tx, stored)
    return stored


def store_log(
    database: Database, task: Task, contents: str, *, step: int = 0, stderr: Sequence[Any] = ()
) -> None:
    """Store a part of the log of a task."""
    part = LogPart(
        task_id=task.id, step=step, contents=contents, position=LogPosition(), stderr=tuple(stderr)
    )
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=StepRef(task_id=task.id, delivery=1, step=step), parts=[part])


def store_failed_job(database: Database) -> tuple[Job, list[Task]]:
    """Store the failed job of a release: it built, tested in parallel with a retry, and could not deploy."""
    now = time.time()
    build, deploy = leaf("build the image", queue="default"), leaf("deploy to production")
    deploy = replace(deploy, pre=(StepDefinition(name="fetch credentials", image="busybox", cmd=("true",)),))
    tests = [leaf("unit tests"), leaf("integration tests"), leaf("lint")]
    checks = replace(parallel(*tests), name="checks")
    definition = replace(
        job_definition(build, checks, deploy, name="release api 4.12"), tags=("release", "production")
    )
    error = "exit code 1: ERROR: the health check of api-7f9c did not pass within 60 s\nrolling back"
    job = store_job(
        database,
        definition,
        JobState.FAILED,
        created_at=now - 400,
        started_at=now - 396,
        ended_at=now - 95,
        error=error,
        done_tasks=2,
        created_by="ada",
    )
    begun = job.created_at

    def times(wait: float, start: float, end: float) -> dict[str, float]:
        return {"scheduled_at": begun + wait, "started_at": begun + start, "ended_at": begun + end}

    first_id, parent_id = new_id(), new_id()
    stored = store_tasks(
        database,
        job,
        (build, times(0, 4, 88)),
        (checks, times(88, 88, 214) | {"id": parent_id, "size": 3, "completions": 3}),
        (deploy, times(214, 216, 305) | {"state": TaskState.FAILED, "error": error, "node": "default@mill"}),
    )
    children = store_tasks(
        database,
        job,
        (tests[0], times(88, 90, 140) | {"parent_id": parent_id, "position": 2}),
        (
            tests[1],
            times(88, 91, 128)
            | {
                "id": first_id,
                "parent_id": parent_id,
                "index": 1,
                "position": 2,
                "state": TaskState.FAILED,
                "error": "exit code 7: refused",
            },
        ),
        (
            tests[1],
            times(132, 133, 214)
            | {"first_id": first_id, "attempts": 1, "parent_id": parent_id, "index": 1, "position": 2},
        ),
        (tests[2], times(88, 90, 101) | {"parent_id": parent_id, "index": 2, "position": 2}),
    )
    store_log(database, stored[2], "fetching credentials from the vault\nok\n", step=0)
    lines = [
        "\x1b[1m==> deploying api 4.12 to production\x1b[0m",
        "using the image registry.example.com/api:4.12",
        *(f"  \x1b[32m✓\x1b[0m replica {n} of 6 is ready" for n in range(1, 6)),
        "  \x1b[33m!\x1b[0m replica 6 of 6 does not answer yet, trying again",
        "  \x1b[33m!\x1b[0m replica 6 of 6 does not answer yet, trying again",
    ]
    failed = "\x1b[31mERROR: the health check of api-7f9c did not pass within 60 s\x1b[0m\nrolling back\n"
    text = "\n".join(lines) + "\n"
    store_log(database, stored[2], text + failed, step=1, stderr=[(len(text), len(text + failed))])
    return job, stored + children


def store_fan_out(database: Database, size: int, *, failed: int = 3, running: int = 12) -> tuple[Job, Task]:
    """Store a running job whose `each` has `size` children."""
    now = time.time()
    item = leaf("convert {{ item.value }}")
    definition = replace(each("{{ inputs.files }}", item), name="convert all files")
    job = store_job(
        database,
        job_definition(definition, leaf("publish"), name="nightly media conversion"),
        JobState.RUNNING,
        created_at=now - 130,
        started_at=now - 128,
        progress=0.0,
    )
    begun = job.created_at
    parent = store_tasks(
        database,
        job,
        (
            definition,
            {"state": TaskState.RUNNING, "size": size, "scheduled_at": begun, "started_at": begun + 2},
        ),
    )[0]
    states = [TaskState.FAILED] * failed + [TaskState.RUNNING] * running
    states += [TaskState.COMPLETED] * (size - len(states))
    children = [
        (
            replace(item, name=f"convert {index:05}.ogv"),
            {
                "state": state,
                "parent_id": parent.id,
                "position": 1,
                "index": index,
                "scheduled_at": begun + 2,
                "started_at": begun + 3 + index % 90,
                "ended_at": None if state is TaskState.RUNNING else begun + 12 + index % 100,
                "error": "exit code 1: no video stream" if state is TaskState.FAILED else None,
            },
        )
        for index, state in enumerate(states)
    ]
    store_tasks(database, job, *children)
    return job, parent


def store_list(database: Database) -> None:
    """Store jobs in all states, schedules and nodes, as the list of a busy installation has them."""
    now = time.time()
    shown = (
        ("transcode trailer 1080p", JobState.COMPLETED, 5400, 320, ("media",)),
        ("import customers", JobState.CANCELLED, 4000, 80, ()),
        ("thumbnail sheet", JobState.COMPLETED, 3600, 41, ("media",)),
        ("backup of the ledger", JobState.COMPLETED, 3000, 610, ("nightly", "ledger")),
        ("train recommendation model", JobState.RUNNING, 900, None, ("ml", "gpu")),
        ("rebuild search index", JobState.COMPLETED, 700, 95, ()),
        ("send the weekly report", JobState.SCHEDULED, 20, None, ("mail",)),
    )
    for name, state, age, took, tags in shown:
        started = None if state is JobState.SCHEDULED else now - age + 6
        store_job(
            database,
            replace(job_definition(leaf("one"), leaf("two"), name=name), tags=tags),
            state,
            created_at=now - age,
            started_at=started,
            ended_at=None if took is None else now - age + 6 + took,
        )
    nightly = replace(
        job_definition(leaf("dump"), name="nightly backup"), schedule=Schedule(cron="30 2 * * *")
    )
    with database.transaction() as tx:
        scheduled_jobs.add(tx, scheduled_job.new(nightly, now=now, id_=new_id(), created_by="ada"))
        for name, queues, cpu in (
            ("default@mill", ("default",), 41.0),
            ("transcoding@forge", ("transcoding", "gpu"), 87.0),
        ):
            nodes.register(
                tx,
                Node(
                    name=name,
                    instance=new_id(),
                    hostname=name.partition("@")[2],
                    pid=1,
                    queues=queues,
                    version="0.1.0",
                    slots=4,
                    cpu_percent=cpu,
                    started_at=now - 9000,
                ),
            )
