"""Each way in which a command ends has an exit code of its own."""

from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi, page
from tork_celery.cli import exit_codes
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.domain import errors

JOB_ID = "0123456789abcdef0123456789abcdef"
OTHER_ID = "fedcba9876543210fedcba9876543210"


def job(id_: str, state: str) -> tuple[int, Any]:
    document = {"id": id_, "name": "j", "state": state, "createdAt": "2026-11-25T08:00:00Z", "execution": []}
    return 200, document


def test_every_error_has_an_exit_code() -> None:
    never_reaches_users = {errors.EvaluationFailed, errors.StepFailed, errors.IllegalTransition}
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    of_ours = {kind for kind in kinds if issubclass(kind, errors.TorkError) and kind is not errors.TorkError}

    without = {kind for kind in of_ours if exit_codes.of_error(kind.__new__(kind)) is ExitCode.BUG}

    assert without <= never_reaches_users


@pytest.mark.parametrize(
    ("states", "code"),
    [(["COMPLETED"], 0), (["FAILED"], 1), (["CANCELLED"], 3), (["FAILED", "CANCELLED"], 3)],
)
def test_waiting_exits_with_the_highest_code(
    stub: StubApi, tork: Command, states: list[str], code: int
) -> None:
    ids = [JOB_ID, OTHER_ID][: len(states)]
    stub.responses = {f"GET /jobs/{id_}": [job(id_, state)] for id_, state in zip(ids, states, strict=True)}

    exit_code, printed, _ = tork("wait", *ids)

    assert exit_code == code
    assert printed.splitlines() == [f"{id_}  {state}" for id_, state in zip(ids, states, strict=True)]


def test_waiting_for_an_unknown_job_exits_with_5(stub: StubApi, tork: Command) -> None:
    stub.responses = {f"GET /jobs/{JOB_ID}": [job(JOB_ID, "FAILED")], "GET /jobs": [(200, page())]}

    code, _, errors_ = tork("wait", "abcd", JOB_ID)

    assert code == 5
    assert "no job with the id 'abcd'" in errors_


def test_timeout_of_waiting_exits_with_124(stub: StubApi, tork: Command) -> None:
    stub.responses = {f"GET /jobs/{JOB_ID}": [job(JOB_ID, "RUNNING")]}

    code, printed, errors_ = tork("wait", JOB_ID, "--timeout", "0s")

    assert (code, printed) == (124, "")
    assert f"`tork-celery wait {JOB_ID}` waits on" in errors_


@pytest.mark.parametrize("status", [400, 404, 409])
def test_action_in_the_wrong_state_exits_with_5(stub: StubApi, tork: Command, status: int) -> None:
    stub.responses = {f"PUT /jobs/{JOB_ID}/cancel": [(status, {"message": "it is COMPLETED"})]}

    code, printed, errors_ = tork("cancel", JOB_ID)

    assert (code, printed) == (5, "")
    assert "it is COMPLETED" in errors_


def test_busy_api_is_asked_again_before_6(stub: StubApi, tork: Command) -> None:
    busy = (503, {"message": "busy"})
    stub.responses = {"GET /queues": [busy, (429, {}), (200, [])], "GET /nodes": [busy]}

    assert tork("queues", "-o", "json")[:2] == (0, "[]\n")
    assert tork("nodes")[0] == 6


@pytest.mark.parametrize("arguments", [["jbs"], ["jobs", "--nope"], ["wait"], ["jobs", "--since", "x"]])
def test_wrong_usage_exits_with_2(tork: Command, arguments: list[str]) -> None:
    assert tork(*arguments)[0] == 2


def test_bug_exits_with_70_and_a_traceback(stub: StubApi, tork: Command) -> None:
    stub.responses = {"GET /queues": [(200, [{"unexpected": 1}])]}

    code, _, errors_ = tork("queues")

    assert code == 70
    assert "Traceback" in errors_
    assert "this is a bug" in errors_


def test_interrupt_exits_with_130(tork: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tork_celery.cli.client.Client.get", interrupt)

    assert tork("queues")[0] == 130
