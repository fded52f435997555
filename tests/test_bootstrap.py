"""Settings become the parts of a process."""

from contextlib import closing
from pathlib import Path

import pytest

from tork_celery import bootstrap
from tork_celery.domain.definition import Defaults, Limits
from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.webhook_targets import WebhookTargets
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
    assert bootstrap.task_defaults(Settings.load(given)) == defaults


def test_shell_worker_with_default_limits_is_refused() -> None:
    settings = Settings.load({"TORK_RUNTIME": "shell", "TORK_DEFAULT_MEMORY": "1g"})

    with pytest.raises(ConfigurationError, match="TORK_DEFAULT_MEMORY"):
        bootstrap.task_defaults(settings)


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
    with closing(bootstrap.build_database(settings)) as database:
        context = bootstrap._service_context(settings, bootstrap.build_celery_app(), database)

    assert context.webhook_targets == targets
