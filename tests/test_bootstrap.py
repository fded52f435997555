"""Settings become the parts of a process."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tork_celery.bootstrap.broker import build_celery_app
from tork_celery.bootstrap.datastore import build_database
from tork_celery.bootstrap.node_process import log_sandboxes_off
from tork_celery.bootstrap.runtime import build_runtime, task_defaults
from tork_celery.bootstrap.services import build_service_context
from tork_celery.domain.definition import Defaults, Limits
from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.webhook_targets import WebhookTargets
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.settings import Settings


@pytest.mark.parametrize(
    ("given", "defaults"),
    [
        ({}, Defaults()),
        ({"TORK_DEFAULT_TIMEOUT": "1m"}, Defaults(timeout="1m")),
        ({"TORK_DEFAULT_CPUS": "2"}, Defaults(limits=Limits(cpus="2"))),
        ({"TORK_DEFAULT_MEMORY": "1g"}, Defaults(limits=Limits(memory="1g"))),
    ],
)
def test_task_defaults_come_from_the_settings(given: dict[str, str], defaults: Defaults) -> None:
    assert task_defaults(Settings.load(given)) == defaults


@pytest.mark.parametrize(
    ("variable", "value"), [("TORK_DEFAULT_MEMORY", "1g"), ("TORK_MAX_MEMORY", "1g"), ("TORK_MAX_CPUS", "1")]
)
def test_shell_worker_with_limits_is_refused(variable: str, value: str) -> None:
    settings = Settings.load({"TORK_RUNTIME": "shell", variable: value})

    with pytest.raises(ConfigurationError, match=variable):
        task_defaults(settings)


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        ({"TORK_WEBHOOK_TARGETS": "10.0.0.1"}, None),
        ({"TORK_AUTH": "basic"}, WebhookTargets()),
        (
            {"TORK_AUTH": "key", "TORK_WEBHOOK_TARGETS": "10.0.0.1"},
            WebhookTargets.parse(["10.0.0.1"]),
        ),
    ],
)
def test_targets_of_webhooks_are_restricted_with_authentication(
    given: dict[str, str], targets: WebhookTargets | None, tmp_path: Path
) -> None:
    settings = Settings.load(given | {"TORK_DATA_DIR": str(tmp_path)})
    with closing(build_database(settings)) as database:
        context = build_service_context(settings, build_celery_app(), database)

    assert context.webhook_targets == targets


def test_containers_are_restricted_by_the_settings(tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "TORK_DATA_DIR": str(tmp_path),
            "TORK_BIND_SOURCES": "/srv",
            "TORK_NETWORKS": "office",
            "TORK_PIDS_LIMIT": "99",
            "TORK_CAPABILITIES": "NET_RAW",
            "TORK_NO_NEW_PRIVILEGES": "yes",
            "TORK_MAX_CPUS": "2",
            "TORK_MAX_MEMORY": "1g",
        }
    )

    runtime = build_runtime(settings, cluster="c", node="n", slots=1)

    assert isinstance(runtime, DockerRuntime)
    assert runtime.policy == ContainerPolicy(
        bind_sources=(Path("/srv"),),
        networks=("office",),
        pids_limit=99,
        capabilities=("NET_RAW",),
        no_new_privileges=True,
        max_cpus="2",
        max_memory="1g",
    )
    runtime.close()


@pytest.mark.slow  # starts an interpreter
def test_supervisor_of_standalone_mode_loads_neither_celery_nor_flask() -> None:
    code = "import sys, tork_celery.cli.standalone; print(*{'celery', 'flask'} & sys.modules.keys())"

    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert result.stdout.strip() == ""


@pytest.mark.parametrize(("value", "slots"), [("on", 3), ("off", 0)])
def test_sandboxes_are_turned_off_by_a_setting(tmp_path: Path, value: str, slots: int) -> None:
    settings = Settings.load({"TORK_DATA_DIR": str(tmp_path), "TORK_SANDBOX": value})

    with closing(build_runtime(settings, cluster="c", node="n", slots=3)) as runtime:
        assert isinstance(runtime, DockerRuntime)
        assert runtime._sandboxes.pool.slots == slots


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        ({}, []),
        ({"TORK_SANDBOX": "off"}, ["the setting TORK_SANDBOX is off"]),
        ({"TORK_RUNTIME": "shell"}, ["the shell runtime has no containers"]),
    ],
)
def test_log_says_why_sandboxes_are_off(given: dict[str, str], reasons: list[str]) -> None:
    with capture_logs() as logged:
        log_sandboxes_off(Settings.load(given))

    assert [(entry["event"], entry["reason"]) for entry in logged] == [
        ("sandboxes.off", reason) for reason in reasons
    ]
