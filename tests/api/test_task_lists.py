"""Lists of tasks, filters of the list of jobs, checks of job files, and the settings."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from tests.api.conftest import BODY_LIMIT_BYTES
from tests.api.documents import document
from tests.store.stores import FlakyDatabase, change, store_job, store_task
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.states import TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.settings_report import Setting
from tork_celery.store.tables import jobs as job_table

Submit = Callable[..., Any]


def ids(client: FlaskClient, route: str) -> list[str]:
    response = client.get(route)
    assert response.status_code == 200, response.text
    return [item["id"] for item in document(response)["items"]]


@pytest.mark.covers(
    "TaskPage.items", "TaskPage.number", "TaskPage.size", "TaskPage.totalPages", "TaskPage.totalItems"
)
def test_tasks_of_the_newest_jobs_are_first(client: FlaskClient, database: FlakyDatabase) -> None:
    newest_first = [store_task(database).id for _ in range(5)][::-1]

    assert ids(client, "/tasks?size=3") == newest_first[:3]
    assert ids(client, "/tasks?size=3&page=2") == newest_first[3:]
    page = document(client.get("/tasks?size=3&page=2"))
    assert (page["number"], page["size"], page["totalPages"], page["totalItems"]) == (2, 2, 2, 5)


@pytest.mark.parametrize("state", list(TaskState))
def test_tasks_are_filtered_by_state(client: FlaskClient, database: FlakyDatabase, state: TaskState) -> None:
    other = TaskState.FAILED if state is not TaskState.FAILED else TaskState.RUNNING
    wanted = store_task(database, state=state)
    store_task(database, state=other)

    assert ids(client, f"/tasks?state={state}") == [wanted.id]
    assert ids(client, f"/tasks?state={state.lower()}&queue=default") == [wanted.id]
    assert ids(client, f"/tasks?state={state}&queue=other") == []


def test_tasks_are_filtered_by_job_and_id(client: FlaskClient, database: FlakyDatabase) -> None:
    wanted, other = store_task(database), store_task(database)

    assert ids(client, f"/tasks?job={wanted.job_id}") == [wanted.id]
    assert ids(client, f"/tasks?id={wanted.id}") == [wanted.id]
    assert ids(client, f"/tasks?id={wanted.id[:20]}") == [other.id, wanted.id]
    assert ids(client, "/tasks?id=ffff") == []


def test_tasks_of_a_job_are_those_of_its_top_level_or_of_a_composite(
    client: FlaskClient, submit: Submit
) -> None:
    child = {"name": "child", "image": "i", "run": "r"}
    job = submit("/jobs", {"name": "j", "tasks": [{"name": "p", "parallel": {"tasks": [child, child]}}]})
    [parent] = document(client.get(f"/jobs/{job['id']}/tasks"))["items"]

    route = f"/jobs/{job['id']}/tasks?parent={parent['id']}"

    assert parent["name"] == "p"
    assert len(ids(client, route)) == 2
    assert len(ids(client, route + "&size=1&page=2")) == 1
    assert ids(client, route + "&state=FAILED") == []
    assert client.get("/jobs/none/tasks").status_code == 404


@pytest.mark.parametrize("query", ["id=abc", "id=xyz1", "id=%00", "since=x", "until=9999999", "parent=%00"])
def test_invalid_filter_of_jobs_is_rejected(client: FlaskClient, query: str) -> None:
    response = client.get(f"/jobs?{query}")

    assert response.status_code == 400
    assert document(response)["message"].startswith(query.partition("=")[0])


def test_unknown_state_of_a_task_is_rejected(client: FlaskClient) -> None:
    response = client.get("/tasks?state=DONE")

    assert response.status_code == 400
    assert "the states are CREATED, PENDING" in document(response)["message"]


def test_jobs_are_filtered_by_the_beginning_of_their_id(client: FlaskClient, database: FlakyDatabase) -> None:
    wanted, other = (store_job(database)[0].id for _ in range(2))

    assert ids(client, f"/jobs?id={wanted}") == [wanted]
    assert ids(client, f"/jobs?id={wanted[:20]}") == [other, wanted]
    assert ids(client, f"/jobs?id={wanted[:20]}&q=status:failed") == []
    assert ids(client, "/jobs?id=ffff") == []


def test_jobs_are_filtered_by_the_time_of_their_submission(
    client: FlaskClient, database: FlakyDatabase
) -> None:
    day_s = 86400.0
    found = [store_job(database)[0] for _ in range(10)]
    with database.transaction() as tx:
        for day, job in enumerate(found):
            tx.execute(update(job_table).where(job_table.c.id == job.id).values(created_at=day * day_s))
    newest_first = [job.id for job in found][::-1]

    assert ids(client, "/jobs?since=1970-01-08T00:00:00Z") == newest_first[:3]
    assert ids(client, "/jobs?until=1970-01-03") == newest_first[8:]
    assert ids(client, "/jobs?since=1970-01-02T01:00:00%2B01:00&until=1970-01-03") == [found[1].id]
    assert ids(client, "/jobs?since=2100-01-01") == []


def test_jobs_are_filtered_by_parent_and_schedule(client: FlaskClient, database: FlakyDatabase) -> None:
    (parent, task), (subjob, _), (scheduled, _) = (store_job(database) for _ in range(3))
    change(database, task, subjob_id=subjob.id)
    with database.transaction() as tx:
        of_schedule = update(job_table).where(job_table.c.id == scheduled.id)
        tx.execute(of_schedule.values(schedule_id="abc"))

    assert ids(client, f"/jobs?parent={task.id}") == [subjob.id]
    assert ids(client, f"/jobs?parent={parent.id}") == [subjob.id]
    assert ids(client, "/jobs?schedule=abc") == [scheduled.id]


def test_page_of_jobs_has_up_to_100(client: FlaskClient, database: FlakyDatabase) -> None:
    for _ in range(101):
        store_job(database)

    assert len(ids(client, "/jobs?size=101")) == 100


@pytest.mark.covers("Validation.valid", "Validation.faults", "FileFault.path", "FileFault.message")
@pytest.mark.covers("FileFault.line", "FileFault.column")
def test_faults_of_a_job_file_are_listed(client: FlaskClient) -> None:
    def check(text: str, media_type: str = "text/yaml") -> Any:
        return client.post("/validate", data=text.encode(), headers={"Content-Type": media_type})

    valid = [
        "name: t\nimage: i\nrun: r\n",
        "name: j\ntasks: [{name: t, image: i}]\n",
        "name: j\nschedule: {cron: '* * * * *'}\ntasks: [{name: t, image: i}]\n",
    ]
    for text in valid:
        assert document(check(text)) == {"valid": True, "faults": []}

    shown = document(check("name: j\ntasks:\n  - {name: t, image: [i]}\n"))
    assert shown["valid"] is False
    [fault] = shown["faults"]
    assert (fault["path"], fault["line"], fault["column"]) == ("tasks[0].image", 3, 15)
    assert "expected a string" in fault["message"]
    assert check("name: t", "text/plain").status_code == 400


@pytest.mark.covers("Setting.name", "Setting.value", "Setting.source")
def test_settings_are_listed(context: ServiceContext) -> None:
    setting = Setting(name="TORK_LEASE", value="10s", source="default")
    api = ApiContext(services=replace(context), body_limit_bytes=BODY_LIMIT_BYTES, settings=[setting])

    shown = document(create_app(api).test_client().get("/config"))

    assert shown == [{"name": "TORK_LEASE", "value": "10s", "source": "default"}]
