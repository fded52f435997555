"""The page of a job: its state, the tree of its tasks on a timeline, and the selected task beside it."""

from collections.abc import Sequence

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_page
from tork_celery.domain import serializers
from tork_celery.domain.masking import job_values
from tork_celery.domain.states import TaskState
from tork_celery.services import job_tree, queries
from tork_celery.services.job_tree import JobTree, TreeRow
from tork_celery.web import timeline
from tork_celery.web.pages.new_job import job_file

_SELECTED_FIRST = (TaskState.FAILED, TaskState.RUNNING)


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/jobs/<job_id>")
    def show_job(job_id: str) -> ResponseReturnValue:
        number, _ = parse_page(request)
        opened = request.args.get("open")
        tree = job_tree.tree(
            api.services,
            job_id,
            number=number,
            opened=opened,
            child_number=max(1, request.args.get("part", 1, type=int)),
        )
        values = job_values(tree.job.definition)
        scale = timeline.of_job(tree.job, now=tree.now)
        rows = [
            (
                row,
                serializers.task_summary(row.task, values),
                timeline.task_bars(row.attempts, scale, now=tree.now),
            )
            for row in tree.rows
        ]
        selected = _selected(tree, request.args.get("task"))
        return render_template(
            "job.html",
            tree=tree,
            job=serializers.job_summary(tree.job),
            rows=rows,
            selected=selected and next(each for each in rows if each[0] is selected),
            number=number,
            opened=opened,
            part=request.args.get("part", 1, type=int),
            page_size=job_tree.CHILD_PAGE_SIZE,
        )

    @pages.get("/jobs/<job_id>/definition")
    def show_definition(job_id: str) -> ResponseReturnValue:
        job, results, _ = queries.job(api.services, job_id)
        document = serializers.job(job, results, ())
        return render_template(
            "definition.html", job=document, definition=job_file(job), context=document["context"]["tasks"]
        )


def _selected(tree: JobTree, task_id: str | None) -> TreeRow | None:
    """Return the row of the task, or else the one that a reader looks for: what failed, runs or came last."""
    for row in tree.rows:
        if task_id in [attempt.id for attempt in row.attempts]:
            return row
    containers = [row for row in tree.rows if not row.task.definition.is_composite]
    for state in _SELECTED_FIRST:
        if found := _in_state(containers, state):
            return found
    begun = [row for row in containers if row.task.started_at is not None]
    return begun[-1] if begun else next(iter(containers or tree.rows), None)


def _in_state(rows: Sequence[TreeRow], state: TaskState) -> TreeRow | None:
    return next((row for row in rows if row.task.state is state), None)
