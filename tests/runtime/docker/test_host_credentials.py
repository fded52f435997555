"""A pull without credentials uses those of the worker's Docker configuration."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import docker
import pytest

from tork_celery.domain.definition import Registry
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
    """The Docker configuration of this host, with a password, and a helper on the path."""
    helper = tmp_path / "docker-credential-test"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    file = tmp_path / "config.json"
    write_configuration(file, password="hidden")
    return file


def write_configuration(file: Path, *, password: str) -> None:
    auth = base64.b64encode(f"ada:{password}".encode()).decode()
    file.write_text(
        json.dumps(
            {
                "auths": {"registry.example.com": {"auth": auth}},
                "credHelpers": {"helped.example.com": "test"},
            }
        )
    )


@pytest.fixture
def sent_credentials(configuration: Path) -> SentCredentials:
    """Return a function that pulls an image and returns the credentials that the engine gets."""
    del configuration  # only written
    sent: list[dict[str, bytes]] = []

    def open_(*_: Any, headers: dict[str, bytes], **__: Any) -> NoReturn:
        sent.append(headers)
        raise Sent

    client = docker.APIClient(base_url="http://127.0.0.1:1", version="1.41")
    images = EngineImages(cast(EngineConnection, SimpleNamespace(client=client, open=open_)))

    def pull(image: str, credentials: Registry | None = None) -> dict[str, str] | None:
        with suppress(Sent):
            images.pull(image, credentials, timeout_s=1)
        header = sent[-1].get("X-Registry-Auth")
        return json.loads(base64.urlsafe_b64decode(header)) if header else None

    return pull


def test_password_of_the_configuration_is_used(sent_credentials: SentCredentials) -> None:
    sent = sent_credentials("registry.example.com/team/tool:1")

    assert sent is not None
    assert (sent["username"], sent["password"]) == ("ada", "hidden")


def test_credential_helper_is_asked(sent_credentials: SentCredentials) -> None:
    sent = sent_credentials("helped.example.com/tool")

    assert sent is not None
    assert (sent["Username"], sent["Password"]) == ("helper", "from the helper")


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


def test_failing_helper_fails_the_pull(sent_credentials: SentCredentials, configuration: Path) -> None:
    (configuration.parent / "docker-credential-test").write_text("#!/bin/sh\nexit 1\n")

    with pytest.raises(PullFailed, match=r"credentials for helped\.example\.com cannot be read"):
        sent_credentials("helped.example.com/tool")
