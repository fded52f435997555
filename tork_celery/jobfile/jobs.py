"""A job, and a scheduled job."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import validate

from tork_celery.domain import cron
from tork_celery.domain.concurrency import LARGEST_LIMIT
from tork_celery.domain.definition import (
    Concurrency,
    Defaults,
    JobDefinition,
    Permission,
    Schedule,
    TaskDefinition,
    Wait,
)
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import (
    Boolean,
    Duration,
    IntegerOrTemplate,
    Nested,
    NestedList,
    PublicName,
    QueueName,
    String,
    docs,
    max_length,
)
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.resources import LimitsSchema
from tork_celery.jobfile.source import Path
from tork_celery.jobfile.tasks import (
    MAX_TASKS,
    PRIORITY_RANGE,
    AutoDeleteSchema,
    RetrySchema,
    TaskSchema,
    needs_faults,
    tags,
    variables,
)
from tork_celery.jobfile.webhooks import MAX_WEBHOOKS, WebhookSchema

LIMIT_RANGE = validate.Range(1, LARGEST_LIMIT, error=f"must be from 1 to {LARGEST_LIMIT}")


class DefaultsSchema(MappingSchema):
    definition = Defaults

    retry = Nested(RetrySchema, metadata=docs("default of a task's `retry`", "{limit: 2}"))
    limits = Nested(
        LimitsSchema,
        metadata=docs("default of a task's `limits`, for `cpus` and `memory` separately", "{memory: 500m}"),
    )
    timeout = Duration(template=True, metadata=docs("default of a task's `timeout`", "10m"))
    queue = QueueName(metadata=docs("default of a task's `queue`", "batch"))
    priority = IntegerOrTemplate(
        validate=PRIORITY_RANGE, metadata=docs("default of a task's `priority`", "3")
    )


class PermissionSchema(MappingSchema):
    definition = Permission

    user = String(
        validate=max_length(LONGEST_NAME), metadata=docs("user who may see and control the job", "ada")
    )
    role = String(
        validate=max_length(LONGEST_NAME),
        metadata=docs("role whose users may see and control the job; every user has `public`", "ops"),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if len(values) != 1:
            yield ("user",), "a permission names either a `user` or a `role`"


class WaitSchema(MappingSchema):
    definition = Wait

    timeout = Duration(
        required=True,
        metadata=docs(
            "maximum time that the client waits; then the status is 408, and the job runs on", "30s"
        ),
    )


def _choice(choices: tuple[str, ...], metadata: dict[str, str]) -> String:
    error = f"expected one of {', '.join(choices)}"
    return String(validate=validate.OneOf(choices, error=error), metadata=metadata)


class ConcurrencySchema(MappingSchema):
    definition = Concurrency

    key = PublicName(
        required=True,
        shown="other users see which jobs wait for each other",
        validate=max_length(LONGEST_NAME),
        metadata=docs(
            "name that the jobs share; a template may read `inputs` and `job`", '"deploy-{{ inputs.env }}"'
        ),
    )
    limit = IntegerOrTemplate(
        validate=LIMIT_RANGE, metadata=docs("number of jobs that are active at a time, by default 1", "3")
    )
    policy = _choice(
        ("queue", "reject"),
        docs(
            "whether a further job waits (`queue`, the default) or is rejected with 409 (`reject`)",
            "reject",
        ),
    )


class JobSchema(MappingSchema):
    definition = JobDefinition

    name = String(
        required=True,
        validate=max_length(LONGEST_NAME),
        metadata=docs("name, shown everywhere; 256 characters at most", "nightly report"),
    )
    description = String(one_line=False, metadata=docs("description for people", "for the web shop"))
    tags = tags(docs("labels for people and for searches by `tag:nightly`", "[nightly, shop]"))
    tasks = NestedList(
        TaskSchema,
        required=True,
        min_items=1,
        max_items=MAX_TASKS,
        metadata=docs(
            "tasks, run in order; the first task that fails after its last retry fails the job. 1 to 10,000, "
            "including nested ones"
        ),
    )
    inputs = variables(docs("values that expressions see as `inputs.NAME`", '{month: "2024-02"}'))
    secrets = variables(
        docs("values that expressions see as `secrets.NAME`; masked in logs and responses", "{key: s3cr3t}")
    )
    output = String(
        template=True,
        one_line=False,
        metadata=docs("the job's `result`, evaluated when all tasks are done", '"{{ tasks.total }}"'),
    )
    timeout = Duration(
        metadata=docs(
            "maximum duration of the job, from the start of its first task; then it fails, and its tasks are "
            "stopped",
            "1h",
        ),
    )
    concurrency = Nested(
        ConcurrencySchema,
        metadata=docs("limit of the jobs with the same key that are active at a time", "{key: deploy}"),
    )
    defaults = Nested(DefaultsSchema, metadata=docs("defaults for all tasks of the job", "{timeout: 5m}"))
    webhooks = NestedList(
        WebhookSchema,
        max_items=MAX_WEBHOOKS,
        metadata=docs("HTTP requests to send when the job or its tasks change; 100 at most"),
    )
    permissions = NestedList(
        PermissionSchema, metadata=docs("users and roles that may see and control the job")
    )
    autoDelete = Nested(
        AutoDeleteSchema, metadata=docs("when the job is deleted after its end", "{after: 24h}")
    )
    failFast = Boolean(
        metadata=docs(
            "`false`: after the failure of a task, tasks that do not need it go on, and those that do are "
            "skipped. It has an effect where a task of the job has `needs`",
            "false",
        )
    )
    wait = Nested(WaitSchema, metadata=docs("`POST /jobs` responds when the job has ended", "{timeout: 30s}"))

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if (count := _count(values["tasks"])) > MAX_TASKS:
            yield ("tasks",), f"expected at most {MAX_TASKS:,} including nested tasks, got {count:,}"
        yield from needs_faults(values["tasks"])


class ScheduleSchema(MappingSchema):
    definition = Schedule

    cron = String(
        required=True,
        validate=validators.cron_expression,
        metadata=docs(
            "cron expression of five fields: minute, hour, day of the month, month, day of the week; or "
            "`@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, `@every 90s`. In UTC, unless it begins "
            "with a time zone: `CRON_TZ=Europe/Berlin 30 4 * * *`",
            '"*/15 * * * *"',
        ),
    )
    timezone = String(
        validate=validators.timezone,
        metadata=docs("time zone of `cron`, a name of the tz database, by default UTC", "Europe/Berlin"),
    )
    catchUp = _choice(
        ("none", "last", "all"),
        docs(
            "which firings are made up that came due while no coordinator ran: `none` (the default), the "
            "`last` one, or `all`, oldest first and 100 at most",
            "last",
        ),
    )
    within = Duration(metadata=docs("age of the oldest firing that `catchUp` makes up", "24h"))
    overlap = _choice(
        ("allow", "skip", "queue", "replace"),
        docs(
            "what a firing does while an earlier job of the schedule has not ended: `allow` (the default) "
            "creates its job, `skip` creates none, `queue` creates one job that waits, `replace` cancels the "
            "earlier jobs",
            "skip",
        ),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if "timezone" in values and cron.has_timezone(values["cron"]):
            yield ("timezone",), "`cron` begins with a time zone too; remove one of them"
        if "within" in values and values.get("catchUp", "none") == "none":
            yield ("within",), "it has no effect without `catchUp`; write `catchUp: last` or `catchUp: all`"


class ScheduledJobSchema(JobSchema):
    schedule = Nested(
        ScheduleSchema,
        required=True,
        metadata=docs("when a job is created", '{cron: "30 4 * * 1-5"}'),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from super().conflicts(values)
        if "concurrency" in values and values["schedule"].overlap in ("queue", "replace"):
            yield ("concurrency",), "not allowed with this `overlap` of the schedule; remove one of them"
        if "wait" in values:
            yield ("wait",), "not allowed in a scheduled job; remove it"


def _count(tasks: tuple[TaskDefinition, ...]) -> int:
    return len(tasks) + sum(_count(task.children) for task in tasks if task.is_composite)
