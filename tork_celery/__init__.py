"""A distributed workflow engine: jobs in YAML, every step in a container, on Celery."""

__version__ = "0.1.0"
