"""The option `--queue NAME:N` of standalone mode."""

import os
import re
from collections.abc import Sequence

import click

from tork_celery.domain import queue_names
from tork_celery.domain.queue_names import DEFAULT_QUEUE

_SLOTS = re.compile(r"0*[1-9][0-9]{0,3}", re.ASCII)


class QueueSlotsType(click.ParamType[tuple[str, int]]):
    """`NAME:N`, the name of a queue and its number of slots: how many of its steps run at the same time."""

    name = "NAME:N"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        name, _, slots = value.rpartition(":")
        if not name or not _SLOTS.fullmatch(slots):
            self.fail(f"{value!r} is not NAME:N; write it like transcoding:3", param, ctx)
        try:
            queue_names.check(name)
        except ValueError as error:
            self.fail(f"{name!r}: {error}", param, ctx)
        return name, int(slots)


def slots_by_queue(
    _context: click.Context, _parameter: click.Parameter, value: Sequence[tuple[str, int]]
) -> dict[str, int]:
    """Return the slots of each queue; without queues, one slot per core for the default queue.

    Raises click.BadParameter for a queue that is given twice.
    """
    slots_of: dict[str, int] = {}
    for name, slots in value or [(DEFAULT_QUEUE, os.cpu_count() or 1)]:
        if name in slots_of:
            raise click.BadParameter(f"the queue {name!r} is given twice; give each queue once")
        slots_of[name] = slots
    return slots_of
