"""The Celery side: the app, its tasks (a few lines each) and its signals."""
