"""Publisher: what is to happen next, as Celery canvases on their way to queues."""
