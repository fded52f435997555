"""Values that statements store of a step's report, beside what they change anyway."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Text, case, cast, literal
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.step_report import RecentMark, StepReport
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import tasks


def with_marks(marks: Iterable[RecentMark]) -> ColumnElement[str]:
    """Return the marks of a task with further ones, in the form of `domain.segments`."""
    whole: ColumnElement[str] = tasks.c.marks
    for mark in marks:
        at = cast(datastore_now() - literal(mark.ago_s), Text)
        whole = whole + literal(f'["{mark.kind}",', Text) + at
        whole = whole + literal(f",{json.dumps(mark.reason)}],", Text)
    return whole


def values(reports: Mapping[str, StepReport]) -> dict[str, Any]:
    """Return the values to store for several tasks, by their ids, in one statement."""
    marks = {task_id: with_marks(report.marks) for task_id, report in reports.items() if report.marks}
    notes = {task_id: literal(report.note, Text) for task_id, report in reports.items()}
    changed: dict[str, Any] = {}
    if marks:
        changed["marks"] = case(marks, value=tasks.c.id, else_=tasks.c.marks)
    if notes:
        changed["note"] = case(notes, value=tasks.c.id, else_=tasks.c.note)
    return changed
