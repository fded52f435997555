"""The one place that builds processes: it wires settings, the datastore, the broker and a runtime.

One module for each part, so that a process imports no more than it needs: the supervisor of standalone mode,
for one, needs neither Celery nor Flask.
"""
