"""Each page renders, escapes what users and containers wrote, and has the headers that protect it."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.domain.samples import job_definition, leaf
from tests.store.stores import FlakyDatabase
from tests.web import sample_jobs
from tests.web.sample_jobs import HOSTILE
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, TaskState

PLAIN_PAGES = ("/ui", "/ui/new", "/ui/schedules", "/ui/queues", "/ui/nodes", "/ui/system")
USER_PAGES = (
    "/ui",
    "/ui/jobs/{job}",
    "/ui/jobs/{job}/definition",
    "/ui/tasks/{task}",
    "/ui/tasks/{task}/log",
)
LAST = {"scheduled_at": 1.0, "started_at": 2.0, "ended_at": 5.0}


@pytest.fixture
def hostile(database: FlakyDatabase) -> tuple[Job, Task]:
    """A failed job in which everything that a user or a container can write holds markup and escapes."""
    definition = replace(
        job_definition(leaf(HOSTILE), name=HOSTILE),
        tags=(HOSTILE,),
        description=HOSTILE,
        inputs={"a": HOSTILE},
    )
    job = sample_jobs.store_job(
        database, definition, JobState.FAILED, error=HOSTILE, result=HOSTILE, started_at=1.0, ended_at=5.0
    )
    values = LAST | {"state": TaskState.FAILED, "error": HOSTILE, "result": HOSTILE}
    task = sample_jobs.store_tasks(database, job, (leaf(HOSTILE, env={"A": HOSTILE}), values))[0]
    sample_jobs.store_log(database, task, HOSTILE + "\n")
    return job, task


@pytest.mark.parametrize("path", PLAIN_PAGES)
def test_page_is_rendered_with_a_strict_policy(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"


def test_root_leads_to_the_pages(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/ui"


@pytest.mark.parametrize("path", USER_PAGES)
def test_markup_and_escapes_of_users_are_text(
    client: FlaskClient, hostile: tuple[Job, Task], path: str
) -> None:
    job, task = hostile

    text = client.get(path.format(job=job.id, task=task.id)).text

    assert "&lt;script&gt;" in text
    assert "<script>document" not in text
    assert "<b>red" not in text
    assert "style=" not in text
    if path.endswith("/log"):
        assert "[31m" not in text.partition("<pre>")[2]


def test_log_can_be_read_and_downloaded_as_text(client: FlaskClient, hostile: tuple[Job, Task]) -> None:
    address = f"/tasks/{hostile[1].id}/log?format=text"

    page = client.get(f"/ui/tasks/{hostile[1].id}/log").text

    assert f'href="{address}"' in page
    assert f'href="{address}&amp;download=true"' in page


def test_unknown_page_and_unknown_job_are_404_pages(client: FlaskClient) -> None:
    for path in ("/ui/nothing/here", "/ui/jobs/unknown", "/ui/tasks/unknown"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.mimetype == "text/html"


def test_search_and_state_filter_the_list(client: FlaskClient, database: FlakyDatabase) -> None:
    sample_jobs.store_list(database)

    assert "import customers" in client.get("/ui?q=customers").text
    assert "import customers" not in client.get("/ui?q=customers&state=FAILED").text
    assert "No job matches" in client.get("/ui?q=nothing-like-this").text


def test_unknown_state_in_a_search_is_explained(client: FlaskClient) -> None:
    response = client.get("/ui?q=status:LOST")

    assert response.status_code == 400
    assert "is not a state of a job" in response.text


def test_job_page_selects_what_failed(client: FlaskClient, database: FlakyDatabase) -> None:
    job, stored = sample_jobs.store_failed_job(database)

    text = client.get(f"/ui/jobs/{job.id}").text

    assert f'data-log="{stored[2].id}"' in text
    assert "Failed: release api 4.12" in text


def test_retried_task_is_one_row_with_its_attempts(client: FlaskClient, database: FlakyDatabase) -> None:
    job, stored = sample_jobs.store_failed_job(database)
    first = stored[4]

    text = client.get(f"/ui/jobs/{job.id}").text

    assert text.count(f'id="task-{first.id}"') == 1
    assert 'title="Attempts"' in text
    assert client.get(f"/ui/tasks/{first.id}").text.count('id="attempt-') == 2


def test_fan_out_is_folded_failed_first(client: FlaskClient, database: FlakyDatabase) -> None:
    job, parent = sample_jobs.store_fan_out(database, 60)

    folded = client.get(f"/ui/jobs/{job.id}").text
    assert "each · 60" in folded
    assert "3 failed" in folded
    assert "12 running" in folded
    assert folded.count('class="task-row') == 1 + 20
    assert folded.index("convert 00002.ogv") < folded.index("convert 00003.ogv")

    last = client.get(f"/ui/jobs/{job.id}?open={parent.id}&part=2").text
    assert last.count('class="task-row') == 1 + 10


def test_log_parts_are_those_of_the_attempt(client: FlaskClient, database: FlakyDatabase) -> None:
    _, stored = sample_jobs.store_failed_job(database)
    sample_jobs.store_log(database, stored[4], "first\n")
    sample_jobs.store_log(database, stored[5], "second\n")

    found = [client.get(f"/ui/tasks/{stored[n].id}/log.json").json for n in (4, 5)]

    assert [page["items"][0]["contents"] for page in found if page] == ["first\n", "second\n"]


def test_secrets_are_masked(client: FlaskClient, database: FlakyDatabase) -> None:
    definition = replace(
        job_definition(leaf("shows hunter22", env={"PASSWORD": "hunter22"})), secrets={"p": "hunter22"}
    )
    job = sample_jobs.store_job(database, definition, JobState.FAILED, error="wrong: hunter22")
    task = sample_jobs.store_tasks(database, job, (definition.tasks[0], LAST))[0]

    for path in ("/ui", f"/ui/jobs/{job.id}", f"/ui/jobs/{job.id}/definition", f"/ui/tasks/{task.id}"):
        assert "hunter22" not in client.get(path).text


@pytest.fixture
def _away(database: FlakyDatabase) -> None:
    database.down = True


@pytest.mark.usefixtures("_away")
def test_page_without_datastore_says_so(client: FlaskClient) -> None:
    response = client.get("/ui")

    assert response.status_code == 503
    assert "the datastore is away" in response.text
