"""The audit log. The services record changes with `store.audit`, each in the transaction of the change."""

from tork_celery.domain.audit import AuditEntry
from tork_celery.services.queries import Page
from tork_celery.store import Database, audit


def page(database: Database, *, number: int, size: int) -> Page[AuditEntry]:
    """Return a page of the audit log, newest entries first."""
    with database.reading() as tx:
        items, total = audit.page(tx, number=number, size=size)
    return Page(items=items, number=number, size=size, total_items=total)
