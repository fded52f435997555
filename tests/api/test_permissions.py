"""A job that is not for somebody does not exist for them, whatever they ask."""

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.store.stores import CuttableDatabase, job_now
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.states import JobState
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

TASKS = [{"name": "say hello", "image": "busybox", "run": "echo hello"}]
USERS = {"ada": [], "bob": ["ops"], "eve": [], "root": ["admin"]}

As = Callable[..., Any]


@pytest.fixture
def guarded(context: ServiceContext, database: CuttableDatabase) -> FlaskClient:
    for username, roles in USERS.items():
        users.add(database, NewUser(username=username, password="p"), roles=roles)
    authenticator = Authenticator(database, schemes=["basic"])
    api = ApiContext(services=context, body_limit_bytes=1_000_000, authenticator=authenticator)
    return create_app(api).test_client()


@pytest.fixture
def as_user(guarded: FlaskClient) -> As:
    """Asks as a user; the status and the document."""

    def ask(username: str, method: str, path: str, **options: Any) -> tuple[int, Any]:
        header = "Basic " + b64encode(f"{username}:p".encode()).decode()
        answer = guarded.open(path, method=method, headers={"Authorization": header}, **options)
        return answer.status_code, answer.json

    return ask


def job(*permissions: dict[str, str]) -> dict[str, Any]:
    return {"name": "a job", "tasks": TASKS, "permissions": list(permissions)}


@pytest.mark.parametrize(("username", "seen"), [("ada", 1), ("bob", 1), ("eve", 0), ("root", 1)])
def test_lists_and_counts_hold_only_what_is_for_one(as_user: As, username: str, seen: int) -> None:
    as_user("ada", "POST", "/jobs", json=job({"role": "ops"}))

    status, page = as_user(username, "GET", "/jobs")

    assert (status, len(page["items"]), page["totalItems"]) == (200, seen, seen)


def test_for_others_it_does_not_exist_on_any_route(
    as_user: As, guarded: FlaskClient, database: CuttableDatabase
) -> None:
    _, made = as_user("ada", "POST", "/jobs", json=job({"user": "bob"}))
    _, whole = as_user("bob", "GET", f"/jobs/{made['id']}")
    ids = {"job_id": made["id"], "task_id": whole["execution"][0]["id"]}

    asked = 0
    for rule in guarded.application.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "PUT", "DELETE"}):
            for name in rule.arguments & set(ids):
                path = re.sub(r"<[^>]+>", ids[name], rule.rule)
                missing = re.sub(r"<[^>]+>", "f" * 32, rule.rule)
                answer, absent = as_user("eve", method, path), as_user("eve", method, missing)
                assert answer[0] == absent[0] == 404, rule
                assert answer[1]["message"] == absent[1]["message"].replace("f" * 32, ids[name])
                asked += 1

    assert asked >= 11
    assert job_now(database, made["id"]).state is JobState.SCHEDULED


@pytest.mark.covers("Job.permissions")
@pytest.mark.parametrize("username", ["ada", "bob", "root"])
def test_whom_it_is_for_may_control_it(as_user: As, username: str) -> None:
    _, made = as_user("ada", "POST", "/jobs", json=job({"user": "bob"}))

    assert as_user(username, "PUT", f"/jobs/{made['id']}/cancel") == (200, {"status": "OK"})
    assert as_user(username, "DELETE", f"/jobs/{made['id']}") == (200, {"status": "OK"})


def test_permissions_of_nobody_are_refused_with_their_places(as_user: As) -> None:
    asked = job({"user": "bob"}, {"user": "bop"}, {"role": "opps"}, {"role": "public"})

    status, answer = as_user("ada", "POST", "/jobs", json=asked)

    assert status == 400
    assert answer["message"].splitlines() == [
        "permissions[1].user: there is no user 'bop'",
        "permissions[2].role: there is no role 'opps'",
    ]
    assert as_user("ada", "GET", "/jobs")[1]["totalItems"] == 0


def test_without_authentication_everything_is_seen(client: FlaskClient, database: CuttableDatabase) -> None:
    users.add(database, NewUser(username="bob", password="p"))

    made = client.post("/jobs", json=job({"user": "bob"})).json

    assert client.get(f"/jobs/{made['id']}").status_code == 200
    assert client.get("/jobs").json["totalItems"] == 1
