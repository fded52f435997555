"""Dispatch: publish messages through Celery, and declare its queues."""
