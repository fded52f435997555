"""A distributed workflow engine: jobs in YAML, every step in a container, on Celery."""
