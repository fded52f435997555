"""Steps as containers of a Docker engine, or of one that speaks its API."""

from tork_celery.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
