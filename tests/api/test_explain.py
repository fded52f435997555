"""GET /tasks/{id}/explain says why a task waits, and what it waited for."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from tests.domain.samples import leaf, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.nodes import register_node
from tests.services.samples import each_job
from tests.store.stores import (
    FlakyDatabase,
    change,
    change_job,
    seconds_now,
    store_job,
    store_task,
    tasks_of,
)
from tork_celery.domain import serializers
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services import submit
from tork_celery.services.context import ServiceContext
from tork_celery.store.tables import nodes

NODE = "default@here"
CLAIMED: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step_running": True}
SECRET = "s3cr3t-v4lue"


@pytest.fixture
def explain(client: FlaskClient) -> Any:
    """Return a function that gets the explanation of a task."""

    def get(task_id: str) -> Any:
        response = client.get(f"/tasks/{task_id}/explain")
        assert response.status_code == 200, response.text
        return response.json

    return get


def marks(database: FlakyDatabase, kind: str, reason: str = "") -> str:
    return f'["{kind}",{seconds_now(database)},"{reason}"],'


def run(database: FlakyDatabase, kind: str, **values: Any) -> str:
    """Store a task that a live worker has claimed. Return its id."""
    register_node(database, NODE, "default")
    stored = {"lease_until": seconds_now(database) + 10.0, "marks": marks(database, kind)}
    return store_task(database, task_definition(pre=1), **CLAIMED | stored | values).id


@pytest.mark.covers("Explanation.state", "Explanation.reason", "Explanation.details")
def test_no_live_worker_serves_the_queue(explain: Any, database: FlakyDatabase) -> None:
    register_node(database, NODE, "default", "gpu")
    task = store_task(database, task_definition(queue="highmem"))

    document = explain(task.id)

    assert document["state"] == "SCHEDULED"
    assert document["reason"] == "no live worker serves its queue `highmem`; served are: default, gpu"
    expected = {"cause": "no_worker", "queue": "highmem", "servedQueues": ["default", "gpu"]}
    assert document["details"] == expected


def test_tasks_are_before_it(explain: Any, database: FlakyDatabase) -> None:
    register_node(database, NODE, "default")
    for priority in (0, 5, 9):
        store_task(database, task_definition(priority=priority))
    task = store_task(database, task_definition(priority=5))
    store_task(database, task_definition(priority=5))

    document = explain(task.id)

    details = document["details"]
    assert (details["cause"], details["before"]) == ("tasks_before", 2)
    assert (details["higherPriority"], details["older"]) == (1, 1)
    assert document["reason"].startswith("2 tasks are before it in its queue `default`")


def test_next_task_waits_for_a_slot(explain: Any, database: FlakyDatabase) -> None:
    run(database, "running")

    details = explain(store_task(database).id)["details"]

    assert (details["cause"], details["busy"]) == ("next", 1)


def test_retry_waits_for_its_time(explain: Any, database: FlakyDatabase) -> None:
    due = seconds_now(database) + 100.0
    task = store_task(database, state=TaskState.PENDING, attempts=2, due_at=due, scheduled_at=None)

    document = explain(task.id)

    assert document["details"]["cause"] == "retry"
    assert document["details"]["attempt"] == 3
    assert document["details"]["retryAt"] == serializers.time(due)


def test_child_waits_for_a_slot_of_its_each(explain: Any, context: ServiceContext) -> None:
    job = submit.submit(context, each_job("{{ [1, 2, 3, 4] }}", concurrency=2))[0]
    last = max(tasks_of(context.database, job.id), key=lambda task: (task.parent_id or "", task.index))

    document = explain(last.id)

    assert document["state"] == "CREATED"
    assert document["details"]["cause"] == "each_slot"
    assert document["reason"] == (
        "it waits for a slot of its `each`: 2 of at most 2 run, and 1 task is before it"
    )


def test_image_is_pulled(explain: Any, database: FlakyDatabase) -> None:
    document = explain(run(database, "pulling", note="image busybox: 1 of 3 layers are ready"))

    assert document["details"]["cause"] == "pulling"
    assert document["reason"] == f"its worker {NODE} pulls image busybox: 1 of 3 layers are ready"


def test_engine_is_away(explain: Any, database: FlakyDatabase) -> None:
    note = "the engine is away, for more than 3600 s; no other worker serves the queue of the task"

    document = explain(run(database, "engine_away", note=note))

    assert document["details"]["cause"] == "engine_away"
    assert document["reason"] == f"its worker {NODE} waits: {note}"


def test_broker_is_away(explain: Any, database: FlakyDatabase, dispatcher: FakeDispatcher) -> None:
    task = store_task(database)
    dispatcher.away = True

    document = explain(task.id)

    assert document["details"]["cause"] == "broker_away"
    assert document["reason"].endswith("the broker is away")


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.CANCELLED])
def test_job_is_not_running(explain: Any, database: FlakyDatabase, state: JobState) -> None:
    job, task = store_job(database)
    change_job(database, job, state=state)

    details = explain(task.id)["details"]

    assert details["cause"] == ("job_pending" if state is JobState.PENDING else "job_ended")
    assert details["jobState"] == state


def test_silent_worker_is_replaced(explain: Any, database: FlakyDatabase) -> None:
    task_id = run(database, "running", lease_until=seconds_now(database) + 3.0)

    document = explain(task_id)

    assert document["details"]["cause"] == "replacing"
    assert document["details"].keys() == {"cause", "node", "replacedAt", "heardOfAt"}


def test_stopped_worker_is_replaced(explain: Any, database: FlakyDatabase) -> None:
    task_id = run(database, "running", lease_until=seconds_now(database) + 60.0)
    with database.transaction() as tx:
        tx.execute(update(nodes).values(stopped_at=1.0))

    document = explain(task_id)

    assert document["details"]["cause"] == "replacing"
    assert "has stopped" in document["reason"]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("running", "running"), ("starting", "starting"), ("between_steps", "between_steps")],
)
def test_step_runs(explain: Any, database: FlakyDatabase, kind: str, cause: str) -> None:
    assert explain(run(database, kind))["details"]["cause"] == cause


def test_ended_steps_wait_for_a_coordinator(explain: Any, database: FlakyDatabase) -> None:
    task_id = run(database, "running", outcome=Outcome.COMPLETED, step_running=False)

    assert explain(task_id)["details"] == {"cause": "advancing", "outcome": "COMPLETED"}


def test_composite_waits_for_its_children(explain: Any, context: ServiceContext) -> None:
    job = submit.submit(context, each_job("{{ [1, 2] }}"))[0]

    assert explain(tasks_of(context.database, job.id)[0].id)["details"] == {
        "cause": "children",
        "size": 2,
        "done": 0,
    }


@pytest.mark.covers(
    "Explanation.since",
    "Explanation.segments",
    "Segment.kind",
    "Segment.from",
    "Segment.to",
    "Segment.reason",
)
def test_segments_say_what_an_ended_task_waited_for(explain: Any, database: FlakyDatabase) -> None:
    times = {"created_at": 1000.0, "scheduled_at": 1000.0, "ended_at": 1007.5, "state": TaskState.COMPLETED}
    stored = '["starting",1002.25,"on n"],["running",1003.0,"on n"],'
    task = store_task(database, leaf(), **times, marks=stored)

    document = explain(task.id)

    assert document["details"]["cause"] == "ended"
    assert document["since"] == "1970-01-01T00:16:47.500Z"
    assert document["segments"] == [
        {
            "kind": "waiting",
            "from": "1970-01-01T00:16:40.000Z",
            "to": "1970-01-01T00:16:42.250Z",
            "reason": "",
        },
        {
            "kind": "starting",
            "from": "1970-01-01T00:16:42.250Z",
            "to": "1970-01-01T00:16:43.000Z",
            "reason": "on n",
        },
        {
            "kind": "running",
            "from": "1970-01-01T00:16:43.000Z",
            "to": "1970-01-01T00:16:47.500Z",
            "reason": "on n",
        },
    ]


def test_secrets_are_masked_everywhere(client: FlaskClient, database: FlakyDatabase) -> None:
    task = store_task(database, task_definition(env={"PASSWORD": SECRET}, queue="highmem"))
    register_node(database, f"n-{SECRET}", f"other-{SECRET}")

    waiting = client.get(f"/tasks/{task.id}/explain")
    change(database, task, **CLAIMED, marks=marks(database, "pulling", SECRET), note=f"image {SECRET}")
    pulling = client.get(f"/tasks/{task.id}/explain")

    assert "[REDACTED]" in waiting.text
    assert "[REDACTED]" in pulling.text
    assert SECRET not in waiting.text + pulling.text


def test_unknown_task_is_not_found(client: FlaskClient) -> None:
    assert client.get("/tasks/nothing/explain").status_code == 404
