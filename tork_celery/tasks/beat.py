"""Celery's beat, which also fires the scheduled jobs of the datastore."""

from typing import Any

import structlog
from celery import beat

from tork_celery import bootstrap, settings
from tork_celery.domain.errors import Unavailable
from tork_celery.services import schedules
from tork_celery.services.coordinator import Coordinator
from tork_celery.tasks.app import app

log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 1.0


class Scheduler(beat.Scheduler):
    """Sends what is in the configuration, and keeps no file. Any number of these may run: a sweep may come
    twice, and a scheduled job is fired by whoever is first."""

    _coordinator: Coordinator | None = None

    def tick(self, *arguments: Any, **options: Any) -> float:
        """The seconds until it is to be called again."""
        self._fire_due()  # first: a broker that is away holds up what follows
        wait_s: float = super().tick(*arguments, **options)
        return min(wait_s, _LONGEST_WAIT_S)

    def _fire_due(self) -> None:
        try:
            schedules.fire_due(self._coordinator_here())
        except Unavailable as error:
            log.warning("schedule.not_fired", reason=str(error))

    def _coordinator_here(self) -> Coordinator:
        """Made in the process that beat runs in, which may be a fork of a worker's."""
        if self._coordinator is None:
            config = settings.load()
            self._coordinator = bootstrap.coordinator(config, app, bootstrap.database(config, slots=1))
        return self._coordinator
