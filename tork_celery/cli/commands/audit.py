"""`tork-celery audit`: shows who changed what."""

import json

import click

from tork_celery.cli.local_datastore import local_datastore
from tork_celery.cli.options import add_global_options
from tork_celery.domain.audit import AuditEntry
from tork_celery.domain.serializers import time
from tork_celery.services import audit as service


@click.command()
@click.option(
    "-n", "--number", default=50, show_default=True, type=click.IntRange(1), help="Entries to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@add_global_options
def audit(number: int, *, as_json: bool) -> None:
    """Show who submitted, cancelled, restarted or deleted jobs, and changed users, queues or schedules.

    The newest entries come first. Works on the local datastore.
    """
    with local_datastore() as database:
        for entry in service.page(database, number=1, size=number).items:
            click.echo(json.dumps(_fields(entry)) if as_json else "  ".join(_cells(entry)))


def _fields(entry: AuditEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "createdAt": time(entry.created_at),
        "username": entry.actor.username,
        "address": entry.actor.address,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
    }


def _cells(entry: AuditEntry) -> list[str]:
    who, where = entry.actor.username or "-", entry.actor.address or "-"
    cells = [time(entry.created_at), who, where, entry.action, entry.target, entry.detail or ""]
    return [cell for cell in cells if cell]
