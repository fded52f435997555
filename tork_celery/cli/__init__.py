"""The command line, `tork-celery`."""
