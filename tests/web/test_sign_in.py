"""Where authentication is on, pages need a session, which a new password or a disabled user ends."""

from collections.abc import Callable

from flask.testing import FlaskClient

from tests.domain.samples import job_definition, leaf
from tests.store.stores import FlakyDatabase
from tests.web import sample_jobs
from tests.web.conftest import token_of
from tork_celery.domain.definition import Permission
from tork_celery.domain.states import JobState
from tork_celery.services import users

SignIn = Callable[..., int]


def test_page_leads_to_sign_in_and_back(guarded_client: FlaskClient) -> None:
    response = guarded_client.get("/ui/queues")

    assert response.status_code == 303
    assert response.headers["Location"] == "/ui/sign-in?next=/ui/queues"
    assert "WWW-Authenticate" not in response.headers


def test_session_opens_pages_until_sign_out(guarded_client: FlaskClient, sign_in: SignIn) -> None:
    assert sign_in("eve") == 303
    assert guarded_client.get("/ui").status_code == 200

    guarded_client.post("/ui/sign-out", data={"csrf": token_of(guarded_client)})

    assert guarded_client.get("/ui").status_code == 303


def test_session_cookie_is_out_of_reach_of_scripts(guarded_client: FlaskClient) -> None:
    token = token_of(guarded_client, "/ui/sign-in")
    form = {"csrf": token, "username": "eve", "password": "p", "next": "/ui"}

    cookie = guarded_client.post("/ui/sign-in", data=form).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_wrong_passwords_are_rejected_then_delayed(sign_in: SignIn) -> None:
    statuses = [sign_in("eve", "wrong") for _ in range(5)]

    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_sign_in_without_the_token_is_rejected(guarded_client: FlaskClient) -> None:
    response = guarded_client.post("/ui/sign-in", data={"username": "eve", "password": "p"})

    assert response.status_code == 403


def test_key_begins_a_session(guarded_client: FlaskClient, database: FlakyDatabase) -> None:
    key = users.new_key(database, "eve")
    form = {"csrf": token_of(guarded_client, "/ui/sign-in"), "key": key, "next": "/ui"}

    assert guarded_client.post("/ui/sign-in", data=form).status_code == 303
    assert guarded_client.get("/ui").status_code == 200


def test_new_password_ends_other_sessions(
    guarded_client: FlaskClient, sign_in: SignIn, database: FlakyDatabase
) -> None:
    sign_in("eve")

    users.set_password(database, "eve", "another")

    assert guarded_client.get("/ui").status_code == 303


def test_disabled_user_has_no_session(
    guarded_client: FlaskClient, sign_in: SignIn, database: FlakyDatabase
) -> None:
    sign_in("eve")

    users.set_disabled(database, "eve", disabled=True)

    assert guarded_client.get("/ui").status_code == 303


def test_changed_session_is_rejected(guarded_client: FlaskClient, sign_in: SignIn) -> None:
    sign_in("eve")
    cookie = guarded_client.get_cookie("tork_session")
    assert cookie is not None
    guarded_client.set_cookie("tork_session", cookie.value.replace("eve", "ada", 1))

    assert guarded_client.get("/ui").status_code == 303


def test_api_accepts_a_session_for_reading_logs_only(
    guarded_client: FlaskClient, sign_in: SignIn, database: FlakyDatabase
) -> None:
    job, stored = sample_jobs.store_failed_job(database)
    sign_in("ada")

    assert guarded_client.get(f"/tasks/{stored[2].id}/log").status_code == 200
    assert guarded_client.get(f"/jobs/{job.id}").status_code == 401
    assert guarded_client.put(f"/jobs/{job.id}/restart").status_code == 401


def test_job_of_others_does_not_exist(
    guarded_client: FlaskClient, sign_in: SignIn, database: FlakyDatabase
) -> None:
    definition = job_definition(leaf(), permissions=(Permission(user="ada"),))
    job = sample_jobs.store_job(database, definition, JobState.FAILED, created_by="ada")
    task = sample_jobs.store_tasks(database, job, (leaf(), {}))[0]
    sign_in("eve")

    for path in (f"/ui/jobs/{job.id}", f"/ui/tasks/{task.id}", f"/ui/tasks/{task.id}/log.json"):
        assert guarded_client.get(path).status_code == 404
    form = {"csrf": token_of(guarded_client), "action": "delete", "id": job.id, "next": "/ui"}
    guarded_client.post("/ui/jobs/actions", data=form)
    assert "1 failed: no job with the id" in guarded_client.get("/ui").text


def test_own_password_is_changed_and_the_session_goes_on(
    guarded_client: FlaskClient, sign_in: SignIn
) -> None:
    sign_in("eve")
    form = {"csrf": token_of(guarded_client), "password": "another", "next": "/ui/system"}

    guarded_client.post("/ui/system/password", data=form)

    assert guarded_client.get("/ui").status_code == 200
    assert sign_in("eve", "another") == 303


def test_own_key_is_shown_once(guarded_client: FlaskClient, sign_in: SignIn) -> None:
    sign_in("eve")

    response = guarded_client.post("/ui/system/key", data={"csrf": token_of(guarded_client)})

    assert "tork_" in response.text
    assert "shown only now" not in guarded_client.get("/ui/system").text


def test_users_are_managed_by_admins_only(guarded_client: FlaskClient, sign_in: SignIn) -> None:
    sign_in("eve")
    assert guarded_client.get("/ui/users").status_code == 403

    sign_in("ada")
    form = {"csrf": token_of(guarded_client), "next": "/ui/users", "username": "bob", "password": "p"}
    guarded_client.post("/ui/users", data=form | {"roles": "ops"})
    assert "bob" in guarded_client.get("/ui/users").text
    guarded_client.post("/ui/users/bob", data=form | {"action": "disable", "password": ""})
    assert "disabled" in guarded_client.get("/ui/users").text


def test_without_authentication_the_pages_warn(client: FlaskClient) -> None:
    assert "Authentication is off" in client.get("/ui").text
    assert client.get("/ui/sign-in").status_code == 404
    assert client.get("/ui/users").status_code == 403
