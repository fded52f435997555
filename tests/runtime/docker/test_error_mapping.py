"""An error is judged by the call and its HTTP status, whatever the engine's message quotes."""

import http.client

import docker.errors
import pytest
import requests
import urllib3.exceptions

from tork_celery.domain.errors import EngineFailed, EngineUnavailable, StepFailed
from tork_celery.runtime.docker.error_mapping import (
    map_api_error,
    map_engine_errors,
    name_sidecar_in_errors,
    one_line,
)

CALL = "start the container"


def api_error(status: int, message: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("error", response=response, explanation=message)


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_refusal_fails_the_step(status: int) -> None:
    error = map_api_error(api_error(status, "i/o timeout"), CALL, of_definition=True)

    assert isinstance(error, StepFailed)
    assert str(error) == "the container engine refuses to run this: i/o timeout"


def test_refusal_of_a_call_without_a_users_text_may_pass() -> None:
    assert isinstance(map_api_error(api_error(403, "forbidden"), "kill the container"), EngineFailed)


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("message", ["no such file or directory", "timeout", "is a directory"])
def test_server_error_may_pass(status: int, message: str) -> None:
    error = map_api_error(api_error(status, message), CALL, of_definition=True)

    assert isinstance(error, EngineFailed)
    assert (str(error), error.call) == (f"the container engine could not {CALL}: {message}", CALL)


def test_wrapping_of_an_error_of_runc_is_removed() -> None:
    message = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
        'container process: exec: "nosuch": executable file not found in $PATH: unknown'
    )

    assert str(map_api_error(api_error(400, message), CALL, of_definition=True)) == (
        'the container engine refuses to run this: exec: "nosuch": executable file not found in $PATH'
    )


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory"),
        ConnectionRefusedError(111, "Connection refused"),
        requests.ConnectionError("reset"),
        requests.ReadTimeout("read timed out"),
        requests.exceptions.ChunkedEncodingError("broken"),
        urllib3.exceptions.ProtocolError("broken"),
    ],
    ids=repr,
)
def test_no_answer_is_engine_unavailable(error: Exception) -> None:
    with pytest.raises(EngineUnavailable, match="does not answer") as raised, map_engine_errors(CALL):
        raise error

    assert not isinstance(raised.value, EngineFailed)


def test_message_is_that_of_the_innermost_error() -> None:
    error = requests.ConnectionError("Connection aborted")
    error.__cause__ = http.client.RemoteDisconnected("hung up")

    with pytest.raises(EngineUnavailable, match=r"does not answer: hung up$"), map_engine_errors(CALL):
        raise error


@pytest.mark.parametrize(
    "error",
    [docker.errors.DockerException("odd"), requests.JSONDecodeError("odd", "<html>", 0)],
    ids=["sdk", "json"],
)
def test_unreadable_answer_may_pass(error: Exception) -> None:
    with pytest.raises(EngineFailed, match=r"answer cannot be read: .*odd"), map_engine_errors(CALL):
        raise error


def test_sidecar_is_named_in_errors_that_fail_the_step() -> None:
    with pytest.raises(StepFailed, match=r'^the sidecar "db": no$'), name_sidecar_in_errors("db"):
        raise StepFailed("no")
    with pytest.raises(EngineFailed, match=r'^the sidecar "db": no$'), name_sidecar_in_errors("db"):
        raise EngineFailed("no", call=CALL)


def test_long_message_keeps_its_beginning_and_its_end() -> None:
    text = one_line("lstat /" + "a" * 40_000 + ":\nfile name too long")

    assert len(text) == 16 * 1024
    assert text.startswith("lstat /aaa")
    assert text.endswith("aaa: file name too long")
