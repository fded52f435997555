"""Ids may be a unique prefix, or @latest."""

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi, page

JOB_ID = "0123456789abcdef0123456789abcdef"
OTHER_ID = "0123ffffffffffffffffffffffffffff"
DONE = (200, {"status": "OK"})


def test_unique_prefix_is_the_job(stub: StubApi, tork: Command) -> None:
    stub.responses = {
        "GET /jobs?id=0123&size=5": [(200, page({"id": JOB_ID}))],
        f"PUT /jobs/{JOB_ID}/cancel": [DONE],
    }

    assert tork("cancel", "0123")[:2] == (0, f"cancelled {JOB_ID}\n")


def test_ambiguous_prefix_lists_the_jobs(stub: StubApi, tork: Command) -> None:
    jobs = [{"id": JOB_ID, "name": "one"}, {"id": OTHER_ID, "name": "other"}]
    stub.responses = {"GET /jobs?id=0123&size=5": [(200, page(*jobs))]}

    code, printed, errors = tork("show", "0123")

    assert (code, printed) == (2, "")
    assert "write more digits" in errors
    assert f"  {JOB_ID}  one\n  {OTHER_ID}  other" in errors


def test_latest_is_the_newest_job(stub: StubApi, tork: Command) -> None:
    stub.responses = {
        "GET /jobs?size=1": [(200, page({"id": JOB_ID}))],
        f"DELETE /jobs/{JOB_ID}": [DONE],
    }

    assert tork("rm", "@latest")[:2] == (0, f"deleted {JOB_ID}\n")


def test_latest_of_no_jobs_is_not_found(stub: StubApi, tork: Command) -> None:
    stub.responses = {"GET /jobs": [(200, page())]}

    code, _, errors = tork("rm", "@latest")

    assert (code, errors) == (5, "Error: @latest: there is no job yet\n")


def test_text_that_is_no_id_is_not_sent(stub: StubApi, tork: Command) -> None:
    code, _, errors = tork("cancel", "build")

    assert code == 5
    assert "write the id, or its first 4 digits or more" in errors
    assert stub.requests == []


def test_prefix_of_a_schedule_is_the_schedule(stub: StubApi, tork: Command) -> None:
    stub.responses = {
        "GET /scheduled-jobs": [(200, page({"id": JOB_ID}, {"id": "f" * 32}))],
        f"PUT /scheduled-jobs/{JOB_ID}/pause": [DONE],
    }

    assert tork("schedules", "pause", "0123")[0] == 0
