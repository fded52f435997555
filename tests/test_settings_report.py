"""The report of the settings shows each with where it comes from, and no secret."""

from tork_celery.settings import Settings
from tork_celery.settings_report import Setting, report


def settings_of(environment: dict[str, str]) -> dict[str, Setting]:
    return {each.name: each for each in report(Settings.load(environment), environment)}


def test_source_is_the_environment_or_the_default() -> None:
    shown = settings_of({"TORK_LEASE": "20s"})

    assert shown["TORK_LEASE"] == Setting(name="TORK_LEASE", value="20s", source="environment")
    assert shown["TORK_HEARTBEAT"] == Setting(name="TORK_HEARTBEAT", value="2", source="default")
    assert shown["TORK_SANDBOX"].value == "true"
    assert shown["TORK_KEEP_JOBS"].value == ""


def test_docker_host_is_named() -> None:
    assert settings_of({"DOCKER_HOST": "unix:///x"})["TORK_DOCKER_URL"].source == "environment (DOCKER_HOST)"


def test_secrets_are_masked() -> None:
    shown = settings_of(
        {
            "TORK_SECRET_KEY": "A" * 43 + "=",
            "TORK_BROKER_URL": "amqp://ada:s3cret@host:5672//",
            "TORK_DATASTORE_URL": "postgresql://ada@host/name?password=s3cret&sslmode=require",
        }
    )

    assert shown["TORK_SECRET_KEY"].value == "[REDACTED]"
    assert shown["TORK_BROKER_URL"].value == "amqp://ada:[REDACTED]@host:5672//"
    assert "s3cret" not in str(shown)
