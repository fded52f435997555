"""For users without permission a job does not exist, on any route."""

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.store.stores import FlakyDatabase, job_now
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.states import JobState
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

TASKS = [{"name": "say hello", "image": "busybox", "run": "echo hello"}]
USERS = {"ada": [], "bob": ["ops"], "eve": [], "root": ["admin"]}

SendAs = Callable[..., Any]


@pytest.fixture
def authenticating_client(context: ServiceContext, database: FlakyDatabase) -> FlaskClient:
    for username, roles in USERS.items():
        users.add(database, NewUser(username=username, password="p"), roles=roles)
    authenticator = Authenticator(database, schemes=["basic"])
    api = ApiContext(services=context, body_limit_bytes=1_000_000, authenticator=authenticator)
    return create_app(api).test_client()


@pytest.fixture
def as_user(authenticating_client: FlaskClient) -> SendAs:
    """Return a function that sends a request as a user and returns the status and the document."""

    def send(username: str, method: str, path: str, **options: Any) -> tuple[int, Any]:
        header = "Basic " + b64encode(f"{username}:p".encode()).decode()
        response = authenticating_client.open(
            path, method=method, headers={"Authorization": header}, **options
        )
        return response.status_code, document(response)

    return send


def job(*permissions: dict[str, str]) -> dict[str, Any]:
    return {"name": "a job", "tasks": TASKS, "permissions": list(permissions)}


@pytest.mark.parametrize(("username", "visible"), [("ada", 1), ("bob", 1), ("eve", 0), ("root", 1)])
def test_lists_and_counts_hold_visible_jobs_only(as_user: SendAs, username: str, visible: int) -> None:
    as_user("ada", "POST", "/jobs", json=job({"role": "ops"}))

    status, page = as_user(username, "GET", "/jobs")

    assert (status, len(page["items"]), page["totalItems"]) == (200, visible, visible)


def test_invisible_job_is_404_on_all_routes(
    as_user: SendAs, authenticating_client: FlaskClient, database: FlakyDatabase
) -> None:
    _, created = as_user("ada", "POST", "/jobs", json=job({"user": "bob"}))
    _, whole = as_user("bob", "GET", f"/jobs/{created['id']}")
    ids = {"job_id": created["id"], "task_id": whole["execution"][0]["id"]}

    checked = 0
    for rule in authenticating_client.application.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "PUT", "DELETE"}):
            for name in rule.arguments & set(ids):
                path = re.sub(r"<[^>]+>", ids[name], rule.rule)
                missing = re.sub(r"<[^>]+>", "f" * 32, rule.rule)
                hidden, absent = as_user("eve", method, path), as_user("eve", method, missing)
                assert hidden[0] == absent[0] == 404, rule
                assert hidden[1]["message"] == absent[1]["message"].replace("f" * 32, ids[name])
                checked += 1

    assert checked >= 11
    assert job_now(database, created["id"]).state is JobState.SCHEDULED


@pytest.mark.covers("Job.permissions")
@pytest.mark.parametrize("username", ["ada", "bob", "root"])
def test_creator_permitted_user_and_admin_may_control_a_job(as_user: SendAs, username: str) -> None:
    _, created = as_user("ada", "POST", "/jobs", json=job({"user": "bob"}))

    assert as_user(username, "PUT", f"/jobs/{created['id']}/cancel") == (200, {"status": "OK"})
    assert as_user(username, "DELETE", f"/jobs/{created['id']}") == (200, {"status": "OK"})


def test_permissions_of_unknown_users_and_roles_are_rejected(as_user: SendAs) -> None:
    submitted = job({"user": "bob"}, {"user": "bop"}, {"role": "opps"}, {"role": "public"})

    status, response = as_user("ada", "POST", "/jobs", json=submitted)

    assert status == 400
    assert response["message"].splitlines() == [
        "permissions[1].user: no user named 'bop'",
        "permissions[2].role: no role named 'opps'",
    ]
    assert as_user("ada", "GET", "/jobs")[1]["totalItems"] == 0


def test_all_jobs_are_visible_without_authentication(client: FlaskClient, database: FlakyDatabase) -> None:
    users.add(database, NewUser(username="bob", password="p"))

    created = document(client.post("/jobs", json=job({"user": "bob"})))

    assert client.get(f"/jobs/{created['id']}").status_code == 200
    assert document(client.get("/jobs"))["totalItems"] == 1
