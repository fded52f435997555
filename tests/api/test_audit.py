"""The audit log: who changed what, with address and time."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.api.test_authentication import JOB, basic
from tests.store.stores import FlakyDatabase
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.store import audit

ADMIN, ADA = basic("root", "s3cret"), basic("ada", "s3cret")
SCHEDULE = {**JOB, "schedule": {"cron": "@daily"}}


@pytest.fixture
def secured(context: ServiceContext, database: FlakyDatabase) -> FlaskClient:
    """Return a client of an API with authentication, an admin `root` and a user `ada`."""
    users.add(database, NewUser(username="root", password="s3cret"), roles=["admin"])
    users.add(database, NewUser(username="ada", password="s3cret"))
    authenticator = Authenticator(database, schemes=["basic"])
    api = ApiContext(services=context, body_limit_bytes=1_000_000, authenticator=authenticator)
    return create_app(api).test_client()


def entries(client: FlaskClient, **headers: Any) -> list[tuple[str, str]]:
    """Return (action, target) of all entries, oldest first."""
    items = document(client.get("/audit?size=20", **headers))["items"]
    return [(entry["action"], entry["target"]) for entry in reversed(items)]


@pytest.mark.covers(
    "AuditEntry.id",
    "AuditEntry.createdAt",
    "AuditEntry.action",
    "AuditEntry.target",
    "AuditEntry.username",
    "AuditEntry.address",
)
def test_entry_says_who_did_what_from_where_and_when(secured: FlaskClient) -> None:
    job = document(secured.post("/jobs", json=JOB, headers=ADA))

    [entry] = document(secured.get("/audit", headers=ADMIN))["items"]
    assert entry.pop("createdAt") >= job["createdAt"]
    assert entry == {
        "id": 1,
        "action": "job.submit",
        "target": job["id"],
        "username": "ada",
        "address": "127.0.0.1",
    }


@pytest.mark.covers(
    "AuditPage.items", "AuditPage.number", "AuditPage.size", "AuditPage.totalItems", "AuditPage.totalPages"
)
def test_entries_are_paged_newest_first(client: FlaskClient) -> None:
    jobs = [document(client.post("/jobs", json=JOB))["id"] for _ in range(5)]

    page = document(client.get("/audit?page=2&size=2"))

    assert [entry["target"] for entry in page.pop("items")] == [jobs[2], jobs[1]]
    assert page == {"number": 2, "size": 2, "totalItems": 5, "totalPages": 3}


def test_user_is_empty_without_authentication(client: FlaskClient) -> None:
    client.post("/jobs", json=JOB)

    [entry] = document(client.get("/audit"))["items"]
    assert "username" not in entry
    assert entry["address"] == "127.0.0.1"


def test_changes_of_jobs_are_recorded(client: FlaskClient) -> None:
    job_id = document(client.post("/jobs", json=JOB))["id"]
    task = document(client.post("/task", json=JOB["tasks"][0]))
    client.put(f"/jobs/{job_id}/cancel")
    client.put(f"/tasks/{task['id']}/cancel")
    client.put(f"/jobs/{job_id}/restart")
    client.put(f"/jobs/{job_id}/cancel")
    client.delete(f"/jobs/{job_id}")

    assert entries(client) == [
        ("job.submit", job_id),
        ("job.submit", task["jobId"]),
        ("job.cancel", job_id),
        ("job.cancel", task["jobId"]),
        ("job.restart", job_id),
        ("job.cancel", job_id),
        ("job.delete", job_id),
    ]


def test_changes_of_schedules_and_queues_are_recorded(client: FlaskClient) -> None:
    id_ = document(client.post("/scheduled-jobs", json=SCHEDULE))["id"]
    client.put(f"/scheduled-jobs/{id_}/pause")
    client.put(f"/scheduled-jobs/{id_}/resume")
    client.delete(f"/scheduled-jobs/{id_}")
    client.delete("/queues/default")

    assert entries(client) == [
        ("schedule.create", id_),
        ("schedule.pause", id_),
        ("schedule.resume", id_),
        ("schedule.delete", id_),
        ("queue.purge", "default"),
    ]


@pytest.mark.covers("AuditEntry.detail")
def test_changes_of_users_are_recorded(secured: FlaskClient) -> None:
    secured.post("/users", json={"username": "bob", "password": "p"}, headers=ADMIN)
    change = {"name": "B", "password": "q", "newKey": True, "disabled": True, "roles": ["ops"]}
    secured.put("/users/bob", json=change, headers=ADMIN)
    secured.put("/users/bob", json={"disabled": False, "roles": []}, headers=ADMIN)

    items = document(secured.get("/audit?size=20", headers=ADMIN))["items"]
    assert [(each["action"], each.get("detail")) for each in reversed(items)] == [
        ("user.add", None),
        ("user.name", None),
        ("user.password", None),
        ("user.key", None),
        ("user.disable", None),
        ("user.role.grant", "ops"),
        ("user.enable", None),
        ("user.role.revoke", "ops"),
    ]
    assert {(each["username"], each["target"]) for each in items} == {("root", "bob")}


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "/jobs", {}),
        ("PUT", "/jobs/x/cancel", None),
        ("PUT", "/jobs/x/restart", None),
        ("DELETE", "/jobs/x", None),
        ("PUT", "/scheduled-jobs/x/pause", None),
        ("DELETE", "/scheduled-jobs/x", None),
        ("DELETE", "/queues/x", None),
        ("POST", "/users", {"username": "a b", "password": "p"}),
    ],
)
def test_rejected_change_is_not_recorded(client: FlaskClient, method: str, route: str, body: Any) -> None:
    assert client.open(route, method=method, json=body).status_code in (400, 404)

    assert entries(client) == []


def test_entry_is_stored_only_with_its_change(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a crash")

    monkeypatch.setattr(audit, "record_all", fail)
    assert client.post("/jobs", json=JOB).status_code == 500

    assert document(client.get("/jobs"))["totalItems"] == 0


def test_audit_log_has_pages_newest_first(client: FlaskClient, submit: Callable[..., Any]) -> None:
    ids = [submit("/jobs", JOB)["id"] for _ in range(3)]

    first, second = (document(client.get(f"/audit?size=2&page={page}")) for page in (1, 2))
    assert [entry["target"] for entry in first["items"]] == [ids[2], ids[1]]
    assert [entry["target"] for entry in second["items"]] == [ids[0]]
    assert (first["totalPages"], first["totalItems"]) == (2, 3)


def test_audit_log_is_for_admins(secured: FlaskClient) -> None:
    response = secured.get("/audit", headers=ADA)

    assert (response.status_code, document(response)) == (
        403,
        {"message": "only users with the role `admin` may do this"},
    )
