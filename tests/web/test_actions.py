"""Actions are forms with a CSRF token. They lead back to a page that says how they went."""

import html
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.domain.samples import job_definition, leaf, task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, job_now
from tests.web import sample_jobs
from tests.web.conftest import token_of
from tork_celery.domain.states import JobState
from tork_celery.services import schedules
from tork_celery.services.context import ServiceContext

FILE = "name: one\ntasks:\n  - name: t\n    image: busybox\n    run: echo hello\n"
EXAMPLES = Path(__file__).parents[2] / "tork_celery/web/examples"


def test_post_without_the_token_is_rejected(client: FlaskClient) -> None:
    token_of(client)

    for token in ("", "wrong"):
        response = client.post("/ui/new", data={"file": FILE, "csrf": token})
        assert response.status_code == 403


def test_post_of_another_site_is_rejected(client: FlaskClient) -> None:
    form = {"file": FILE, "csrf": token_of(client)}

    response = client.post("/ui/new", data=form, headers={"Origin": "https://evil.example"})

    assert response.status_code == 403


def test_submitted_job_is_shown(client: FlaskClient) -> None:
    response = client.post("/ui/new", data={"file": FILE, "csrf": token_of(client)})

    assert response.status_code == 303
    assert "one" in client.get(response.headers["Location"]).text


def test_faulty_file_stays_in_the_editor_with_its_faults(client: FlaskClient) -> None:
    text = FILE.replace("image", "imaje")

    response = client.post("/ui/new", data={"file": text, "csrf": token_of(client)})

    assert response.status_code == 400
    assert "imaje: busybox" in response.text
    assert "line 4" in response.text


def test_validation_names_line_and_column(client: FlaskClient) -> None:
    headers = {"X-CSRF-Token": token_of(client)}

    faults = client.post("/ui/validate", data=FILE.replace("image", "imaje"), headers=headers).json
    fine = client.post("/ui/validate", data=FILE, headers=headers).json

    assert faults is not None
    assert 4 in [fault["line"] for fault in faults["faults"]]
    assert fine == {"faults": [], "inputs": [], "tasks": 1}


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir()))
def test_example_of_the_editor_has_no_faults(client: FlaskClient, example: str) -> None:
    name = re.sub(r"^\d-|\.yaml$", "", example)
    form = {"file": (EXAMPLES / example).read_text(), "csrf": token_of(client)}
    if name == "schedule":
        form["schedule"] = "1"

    assert "image: busybox" in client.get(f"/ui/new?example={name}").text
    assert client.post("/ui/new", data=form).status_code == 303


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("cancel", JobState.SCHEDULED, JobState.CANCELLED),
        ("restart", JobState.FAILED, JobState.SCHEDULED),
        ("delete", JobState.FAILED, None),
    ],
)
def test_bulk_action_changes_all_selected_jobs(
    client: FlaskClient, database: FlakyDatabase, action: str, before: JobState, after: JobState | None
) -> None:
    jobs = [sample_jobs.store_job(database, job_definition(leaf()), before) for _ in range(2)]
    form = {"csrf": token_of(client), "action": action, "id": [job.id for job in jobs], "next": "/ui?q=a"}

    response = client.post("/ui/jobs/actions", data=form)

    assert response.headers["Location"] == "/ui?q=a"
    assert "2 jobs were" in client.get("/ui").text
    if after is None:
        assert client.get(f"/ui/jobs/{jobs[0].id}").status_code == 404
    else:
        assert {job_now(database, job.id).state for job in jobs} == {after}


def test_rejected_action_is_explained_once(client: FlaskClient, database: FlakyDatabase) -> None:
    job = sample_jobs.store_job(database, job_definition(leaf()), JobState.COMPLETED)
    form = {"csrf": token_of(client), "action": "cancel", "id": job.id, "next": "/ui"}

    client.post("/ui/jobs/actions", data=form)

    assert "1 failed: " in client.get("/ui").text
    assert "1 failed: " not in client.get("/ui").text


def test_form_never_leads_to_another_site(client: FlaskClient, database: FlakyDatabase) -> None:
    job = sample_jobs.store_job(database, job_definition(leaf()), JobState.FAILED)
    form = {"csrf": token_of(client), "action": "restart", "id": job.id, "next": "//evil.example/ui"}

    assert client.post("/ui/jobs/actions", data=form).headers["Location"] == "/ui"


def test_schedule_is_paused_resumed_and_deleted(client: FlaskClient, database: FlakyDatabase) -> None:
    sample_jobs.store_list(database)
    context = ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)
    schedule = schedules.page(context, number=1, size=1).items[0]
    form = {"csrf": token_of(client), "next": "/ui/schedules"}

    for action, shown in (("pause", "Paused"), ("resume", "Active"), ("delete", "No schedules")):
        client.post(f"/ui/schedules/{schedule.id}/{action}", data=form)
        assert shown in client.get("/ui/schedules").text


def test_schedule_is_run_now(client: FlaskClient, database: FlakyDatabase) -> None:
    sample_jobs.store_list(database)
    context = ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)
    schedule = schedules.page(context, number=1, size=1).items[0]
    before = document(client.get("/jobs"))["totalItems"]

    client.post(f"/ui/schedules/{schedule.id}/run", data={"csrf": token_of(client), "next": "/ui/schedules"})

    assert document(client.get("/jobs"))["totalItems"] == before + 1
    assert "A job of the schedule was submitted." in client.get("/ui/schedules").text


def test_queue_is_purged(client: FlaskClient) -> None:
    client.post("/ui/queues/default/purge", data={"csrf": token_of(client), "next": "/ui/queues"})

    assert "messages of default were removed" in client.get("/ui/queues").text


def test_edited_job_runs_again_with_the_stored_secrets(client: FlaskClient, database: FlakyDatabase) -> None:
    definition = job_definition(
        task_definition(env={"KEY": "{{ secrets.key }}"}), tags=("nightly",), secrets={"key": "s3cr3t-value"}
    )
    job = sample_jobs.store_job(database, definition, JobState.COMPLETED)

    page = client.get(f"/ui/jobs/{job.id}/edit").text
    text = html.unescape(page.partition("autofocus>")[2].partition("</textarea>")[0])
    form = {"csrf": token_of(client), "file": text.replace("a job", "the same job")}
    response = client.post(f"/ui/jobs/{job.id}/rerun", data=form)

    assert "key: '[REDACTED]'" in text
    again = job_now(database, response.location.rpartition("/")[2])
    assert (again.definition.name, again.definition.tags) == ("the same job", ("nightly",))
    assert (again.definition.secrets, again.rerun_of) == ({"key": "s3cr3t-value"}, job.id)


def test_faulty_file_of_an_edited_job_stays_in_the_editor(
    client: FlaskClient, database: FlakyDatabase
) -> None:
    job = sample_jobs.store_job(database, job_definition(task_definition()), JobState.FAILED)

    response = client.post(f"/ui/jobs/{job.id}/rerun", data={"csrf": token_of(client), "file": "nam: x"})

    assert response.status_code == 400
    assert "Edit and run again" in response.text
    assert f"/ui/jobs/{job.id}/rerun" in response.text
