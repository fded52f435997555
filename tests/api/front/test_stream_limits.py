"""Streams end or are refused: seats, rights, outages, slow clients, the end of the server."""

import socket
from contextlib import closing
from http import HTTPStatus

import pytest

from tests.api.front.streaming import RunningApi, running_api
from tests.api.front.test_streams import append, texts
from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, change, database, store_job
from tork_celery.api.front import protocol
from tork_celery.domain.definition import JobDefinition, Permission, TaskDefinition
from tork_celery.domain.states import TaskState
from tork_celery.domain.user import NewUser, UserChange
from tork_celery.services import submit, users
from tork_celery.services.authentication import BASIC, Authenticator
from tork_celery.services.streams.seats import StreamSeats

__all__ = ["database"]

ANNE = {"Authorization": "Basic YW5uZTpwNHNz"}  # anne:p4ss


def test_stream_beyond_the_seats_gets_503(database: FlakyDatabase) -> None:
    seats = StreamSeats(1)
    with running_api(database, stream_seats=seats) as api:
        first = api.stream("jobs")

        status, document = api.get("/events?topic=jobs")
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert document["message"] == "all 1 streams of this process are in use; try again later"

        first.close()
        eventually(lambda: seats.taken == 0)
        api.stream("jobs")


def test_unknown_topic_is_named(database: FlakyDatabase) -> None:
    with running_api(database) as api:
        status, document = api.get("/events?topic=jobs&topic=log:nothing")

    assert status == HTTPStatus.NOT_FOUND
    assert document["message"] == "topic log:nothing: no task with the id 'nothing'"


@pytest.mark.parametrize("query", ["", "topic=", "topic=x", "&".join(f"topic=job:{n}" for n in range(33))])
def test_invalid_topics_are_rejected(database: FlakyDatabase, query: str) -> None:
    with running_api(database) as api:
        assert api.get(f"/events?{query}")[0] == HTTPStatus.BAD_REQUEST


@pytest.fixture
def secured(database: FlakyDatabase) -> Authenticator:
    for name in ("anne", "bob"):
        users.add(database, NewUser(username=name, password="p4ss"))
    return Authenticator(database, schemes=[BASIC])


def submit_for(api: RunningApi, user: str) -> str:
    """Submit a job that only this user may see, and return its id."""
    definition = JobDefinition(
        name="j", tasks=(TaskDefinition(name="t", image="i"),), permissions=(Permission(user=user),)
    )
    job, _ = submit.submit(api.context.services, definition)
    return job.id


def test_jobs_of_others_are_neither_listed_nor_followed(
    database: FlakyDatabase, secured: Authenticator
) -> None:
    with running_api(database, authenticator=secured) as api:
        of_bob = submit_for(api, "bob")
        stream = api.stream("jobs", headers=ANNE)
        submit_for(api, "bob")
        of_anne = submit_for(api, "anne")
        stream.until("job", id=of_anne)

        assert [event.data["id"] for event in stream.events] == [of_anne]
        assert api.get(f"/events?topic=job:{of_bob}", ANNE)[0] == HTTPStatus.NOT_FOUND


def test_topics_of_a_user_who_is_disabled_end(
    database: FlakyDatabase, secured: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tork_celery.services.streams.tail.RIGHTS_INTERVAL_S", 0.0)
    with running_api(database, authenticator=secured) as api:
        job_id = submit_for(api, "anne")
        stream = api.stream("jobs", f"job:{job_id}", headers=ANNE)
        stream.until("task", jobId=job_id)

        users.change(database, "anne", UserChange(disabled=True))

        ended = {event.data["topic"] for event in stream.rest() if event.name == "end"}
        assert ended == {"jobs", f"job:{job_id}"}


def test_stream_goes_on_after_an_outage(database: FlakyDatabase) -> None:
    _, task = store_job(database)
    with running_api(database) as api:
        stream = api.stream(f"log:{task.id}", "jobs")
        append(database, task, "before\n")
        stream.until("log", contents="before\n")

        database.down = True
        failures = database.failures
        eventually(lambda: database.failures > failures + 2)
        database.down = False
        append(database, task, "after\n")

        stream.until("log", contents="after\n")
    assert texts(stream) == ["before\n", "after\n"]
    assert "reset" not in [event.name for event in stream.events]


def test_end_of_the_server_ends_streams_at_once(database: FlakyDatabase) -> None:
    with running_api(database) as api:
        stream = api.stream("jobs")
        api.server.should_exit = True

        assert stream.rest() == []  # and no error, since the response is complete


def test_client_that_reads_nothing_is_dropped(
    database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT_S", 0.2)
    seats = StreamSeats()
    _, task = store_job(database)
    with running_api(database, stream_seats=seats) as api, closing(socket.socket()) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", api.port))
        silent.sendall(f"GET /events?topic=log:{task.id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        eventually(lambda: seats.taken == 1)

        for _ in range(100):
            append(database, task, "x" * 64_000 + "\n")

        eventually(lambda: seats.taken == 0)


def test_idle_streams_hold_no_thread(database: FlakyDatabase) -> None:
    job, task = store_job(database)
    with running_api(database) as api:
        streams = [api.stream("jobs", f"job:{job.id}", f"log:{task.id}") for _ in range(50)]
        for stream in streams:
            stream.until("task", id=task.id)

        assert api.get(f"/jobs/{job.id}")[0] == HTTPStatus.OK

        append(database, task, "to all\n")
        change(database, task, state=TaskState.RUNNING)
        for stream in streams:
            stream.until("log", contents="to all\n")
