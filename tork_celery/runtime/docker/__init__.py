"""The Docker runtime: steps as containers of a Docker engine, or of an engine with the same API."""

from tork_celery.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
