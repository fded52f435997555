"""The Celery side: the app, its tasks, each of which makes one call, and its signals."""
