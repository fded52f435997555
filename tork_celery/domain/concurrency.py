"""The slots of jobs that limit their number by a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tork_celery import expr
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.domain.identifiers import LONGEST_NAME, unfit_character
from tork_celery.domain.plan import RandomSource

LARGEST_LIMIT = 10_000
_MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What a job needs to be active: fewer than `limit` other active jobs with its `key`."""

    key: str
    limit: int


def slot_of(definition: JobDefinition, *, job_id: str, now: float, random: RandomSource) -> Slot | None:
    """Evaluate the `concurrency` of a new job. Raises InvalidInput."""
    concurrency = definition.concurrency
    if concurrency is None:
        return None
    names = {"inputs": definition.inputs, "job": {"id": job_id, "name": definition.name}}
    host = expr.HostFunctions(now=lambda: datetime.fromtimestamp(now, UTC), randbelow=random.randbelow)
    limit = concurrency.limit
    if isinstance(limit, str):
        limit = _limit(_render("limit", limit, names, host))
    return Slot(key=_key(_render("key", concurrency.key, names, host)), limit=limit or 1)


def _render(name: str, text: str, names: Mapping[str, object], host: expr.HostFunctions) -> str:
    try:
        return (
            expr.render(text, names, host, budget=expr.Budget(_MAX_STEPS)) if expr.is_template(text) else text
        )
    except (expr.ExpressionError, ValueError) as error:
        raise _invalid(name, str(error)) from error


def _key(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_NAME or unfit_character(text, one_line=True):
        raise _invalid("key", f"expected 1 to {LONGEST_NAME} characters in one line")
    return text


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= len(str(LARGEST_LIMIT))):
        raise _invalid("limit", f"{text[:40]!r} is not a number from 1 to {LARGEST_LIMIT}")
    if not 1 <= int(text) <= LARGEST_LIMIT:
        raise _invalid("limit", f"{text} is not a number from 1 to {LARGEST_LIMIT}")
    return int(text)


def _invalid(name: str, message: str) -> InvalidInput:
    return InvalidInput(Fault(path=f"concurrency.{name}", message=message))
