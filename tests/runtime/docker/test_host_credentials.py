"""A pull without credentials uses those of the worker's Docker configuration."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from tork_celery.domain.definition import Registry
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker import host_credentials
from tork_celery.runtime.docker.engine_connection import EngineConnection
from tork_celery.runtime.docker.engine_images import EngineImages, PullFailed

HELPER = """#!/bin/sh
cat >/dev/null
echo '{"ServerURL": "helped.example.com", "Username": "helper", "Secret": "from the helper"}'
"""


class Sent(Exception):
    """Ends a pull after its request was sent."""


SentCredentials = Callable[..., dict[str, str] | None]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Docker configuration in the home directory, with a password, and a helper on the path."""
    helper = tmp_path / "docker-credential-test"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    file = tmp_path / ".docker" / "config.json"
    file.parent.mkdir()
    write_configuration(file, password="hidden")
    return file


def write_configuration(file: Path, *, password: str, **others: Any) -> None:
    auth = base64.b64encode(f"ada:{password}".encode()).decode()
    auths = {name: {"auth": auth} for name in ("registry.example.com", "https://index.docker.io/v1/")}
    helpers = {"helped.example.com": "test"}
    file.write_text(json.dumps({"auths": auths, "credHelpers": helpers, **others}))


@pytest.fixture
def sent_credentials(configuration: Path) -> SentCredentials:
    """Return a function that pulls an image and returns the credentials that the engine gets."""
    del configuration  # only written
    sent: list[dict[str, bytes]] = []

    def open_(*_: Any, headers: dict[str, bytes], **__: Any) -> NoReturn:
        sent.append(headers)
        raise Sent

    images = EngineImages(cast(EngineConnection, SimpleNamespace(open=open_)))

    def pull(image: str, credentials: Registry | None = None) -> dict[str, str] | None:
        with suppress(Sent):
            images.pull(image, credentials, timeout_s=1)
        header = sent[-1].get("X-Registry-Auth")
        return json.loads(base64.urlsafe_b64decode(header)) if header else None

    return pull


@pytest.mark.parametrize("image", ["registry.example.com/team/tool:1", "tool", "docker.io/team/tool:1"])
def test_password_of_the_configuration_is_used(sent_credentials: SentCredentials, image: str) -> None:
    sent = sent_credentials(image)

    assert sent is not None
    assert (sent["username"], sent["password"]) == ("ada", "hidden")


def test_credential_helper_is_asked(sent_credentials: SentCredentials) -> None:
    sent = sent_credentials("helped.example.com/tool")

    assert sent is not None
    assert (sent["Username"], sent["Password"]) == ("helper", "from the helper")


def test_helper_of_all_registries_is_asked_first(
    sent_credentials: SentCredentials, configuration: Path
) -> None:
    write_configuration(configuration, password="hidden", credsStore="test")

    sent = sent_credentials("registry.example.com/tool")

    assert sent is not None
    assert (sent["Username"], sent["Password"]) == ("helper", "from the helper")


def test_password_of_the_configuration_is_used_where_the_helper_has_none(
    sent_credentials: SentCredentials, configuration: Path
) -> None:
    write_configuration(configuration, password="hidden", credsStore="test")
    set_helper(configuration, "echo credentials not found in native keychain; exit 1")

    sent = sent_credentials("registry.example.com/tool")

    assert sent is not None
    assert sent["password"] == "hidden"


def test_configuration_may_be_in_another_directory(
    sent_credentials: SentCredentials, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration.rename(tmp_path / "config.json")
    assert sent_credentials("registry.example.com/tool") is None

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert sent_credentials("registry.example.com/tool") is not None


def test_credentials_of_the_task_win(sent_credentials: SentCredentials) -> None:
    sent = sent_credentials("registry.example.com/tool", Registry(username="bob", password="own"))

    assert sent is not None
    assert (sent["username"], sent["password"]) == ("bob", "own")


def test_other_registries_get_none(sent_credentials: SentCredentials) -> None:
    assert sent_credentials("other.example.com/tool") is None


def test_changed_configuration_is_read_again(sent_credentials: SentCredentials, configuration: Path) -> None:
    sent_credentials("registry.example.com/tool")
    write_configuration(configuration, password="rotated")

    sent = sent_credentials("registry.example.com/tool")

    assert sent is not None
    assert sent["password"] == "rotated"


def set_helper(configuration: Path, script: str) -> None:
    (configuration.parents[1] / "docker-credential-test").write_text(f"#!/bin/sh\n{script}\n")


@pytest.mark.parametrize("script", ["exit 1", "echo no JSON", "echo '{}'", "echo '[]'"])
def test_failing_helper_fails_the_pull(
    sent_credentials: SentCredentials, configuration: Path, script: str
) -> None:
    set_helper(configuration, script)

    with pytest.raises(PullFailed, match=r"credentials for helped\.example\.com cannot be read: ."):
        sent_credentials("helped.example.com/tool")


def test_helper_that_hangs_fails_the_pull(
    sent_credentials: SentCredentials, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_credentials, "HELPER_TIMEOUT_S", 0.1)
    set_helper(configuration, "exec sleep 60")

    with pytest.raises(PullFailed, match=r"docker-credential-test has not answered within 0.1 s"):
        sent_credentials("helped.example.com/tool")


def test_missing_helper_fails_the_pull(sent_credentials: SentCredentials, configuration: Path) -> None:
    (configuration.parents[1] / "docker-credential-test").unlink()

    with pytest.raises(PullFailed, match="docker-credential-test is not installed"):
        sent_credentials("helped.example.com/tool")


DAMAGED = [{"auths": {"a.example": {"auth": ""}}}, {"auths": {"a.example": "b"}}, {"auths": ["a"]}, ["a"]]


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_configuration_fails_the_pull(
    sent_credentials: SentCredentials, configuration: Path, content: object
) -> None:
    configuration.write_text(json.dumps(content))

    with pytest.raises(PullFailed, match=r"credentials for registry\.example\.com cannot be read: ."):
        sent_credentials("registry.example.com/tool")


@pytest.mark.parametrize("content", DAMAGED)
def test_engine_with_a_damaged_configuration_of_its_client_is_away(
    configuration: Path, content: object
) -> None:
    configuration.write_text(json.dumps(content))

    with pytest.raises(EngineUnavailable, match="Docker configuration of this host"):
        EngineConnection("unix:///nonexistent", connections=1).ping(within_s=1)
