"""What a definition says once its expressions are evaluated, when its task is dispatched.

All functions raise EvaluationFailed, which names the field and the cause, and an expression that fails.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from typing import TypeVar

from tork_celery import expr
from tork_celery.domain import durations, quantities, queue_names
from tork_celery.domain.charset import unfit_character
from tork_celery.domain.definition import (
    Defaults,
    Each,
    JobDefinition,
    Limits,
    Registry,
    StepDefinition,
    Subjob,
    TaskDefinition,
    Webhook,
    limits_of,
)
from tork_celery.domain.errors import EvaluationFailed
from tork_celery.domain.identifiers import LONGEST_NAME, check_var
from tork_celery.domain.model import Job
from tork_celery.domain.redaction import masking
from tork_celery.expr.kinds import kind_of

MOST_ITEMS = 100_000
"""A longer list is refused by `each`: every item is a row of its own."""

HOST = expr.HostFunctions(now=lambda: datetime.now(UTC), randbelow=secrets.randbelow)
"""Temporary: callers are to pass the clock and the source of random numbers."""

_PRIORITIES = tuple(str(number) for number in range(10))
S = TypeVar("S", bound=StepDefinition)
Context = Mapping[str, object]


def context(job: Job, scope: Context) -> dict[str, object]:
    """The names that the expressions of a job see; `scope` are those that enclosing `each` tasks give."""
    return {
        "inputs": job.definition.inputs,
        "secrets": job.definition.secrets,
        "tasks": job.results,
        "job": {"id": job.id, "name": job.definition.name},
        **scope,
    }


def wanted(definition: TaskDefinition, names: Context, budget: expr.Budget | None = None) -> bool:
    """Whether the task is to run, as its `if` says."""
    if definition.if_ is None:
        return True
    return holds(_value("if", definition.if_, names, budget))


def holds(value: object) -> bool:
    """Whether an `if` that yields this is met: only false, and the text `false`, are not."""
    return value is not False and value != "false"


def dispatched(
    definition: TaskDefinition,
    defaults: Defaults | None,
    names: Context,
    budget: expr.Budget | None = None,
) -> TaskDefinition:
    """The definition as it runs: with the job's defaults, and without templates. What a composite is made of
    stays as it is until its own turn."""
    texts = _Texts(names, budget)
    if definition.is_composite:
        name = texts.label("name", definition.name)
        return replace(definition, name=name, var=texts.one("var", definition.var, check_var))
    definition = _step(_with_defaults(definition, defaults), texts)
    return replace(
        definition,
        queue=texts.one("queue", definition.queue, queue_names.check),
        var=texts.one("var", definition.var, check_var),
        limits=_limits(definition.limits, texts),
        priority=_priority(definition.priority, texts),
        pre=tuple(_step(step, texts, f"pre[{n}].") for n, step in enumerate(definition.pre)),
        post=tuple(_step(step, texts, f"post[{n}].") for n, step in enumerate(definition.post)),
        sidecars=tuple(_step(step, texts, f"sidecars[{n}].") for n, step in enumerate(definition.sidecars)),
    )


def items(each: Each, names: Context, budget: expr.Budget | None = None) -> list[object]:
    """What an `each` runs its task for."""
    found = _value("each.list", each.list, names, budget)
    if not isinstance(found, list | tuple):
        raise EvaluationFailed(f"each.list: it is no list, but of the type {kind_of(found)}")
    if len(found) > MOST_ITEMS:
        raise EvaluationFailed(f"each.list: it has {len(found):,} items; {MOST_ITEMS:,} are the most")
    return [_storable(item) for item in found]


def subjob(definition: Subjob, names: Context, budget: expr.Budget | None = None) -> JobDefinition:
    """The job that a task starts, which sees nothing of its parent but what it is given."""
    texts = _Texts(names, budget)
    return JobDefinition(
        name=texts.label("subjob.name", definition.name) or definition.name,
        description=definition.description,
        tasks=definition.tasks,
        inputs=texts.named("subjob.inputs", definition.inputs),
        secrets=texts.named("subjob.secrets", definition.secrets),
        output=definition.output,
        auto_delete=definition.auto_delete,
        webhooks=tuple(
            _webhook(hook, texts, f"subjob.webhooks[{n}].") for n, hook in enumerate(definition.webhooks)
        ),
    )


def output(job: Job) -> str | None:
    """The result of a job that completes, as its `output` says."""
    return _Texts(context(job, {})).one("output", job.definition.output)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Templates, rendered with these names."""

    names: Context
    budget: expr.Budget | None = None

    def one(self, path: str, text: str | None, check: Callable[[str], object] | None = None) -> str | None:
        """Rendered; what it yields is checked like what stands in a file. Raises EvaluationFailed."""
        if text is None or not expr.is_template(text):
            return text
        try:
            rendered = expr.render(text, self.names, HOST, budget=self.budget)
            _check_storable(rendered)
        except ValueError as error:
            raise EvaluationFailed(f"{path}: {error}") from error
        try:
            if check is not None:
                check(rendered)
        except ValueError as error:  # it may quote what was rendered, cut, where no mask would find it
            hidden = self._masked(rendered) != rendered
            raise EvaluationFailed(f"{path}: {'a secret does not fit here' if hidden else error}") from error
        return rendered

    def label(self, path: str, text: str | None) -> str | None:
        """The same for a name, which is shown in many places: a secret in it is masked."""
        rendered = self.one(path, text)
        if rendered is None or rendered == text:
            return text
        if len(rendered) > LONGEST_NAME:
            raise EvaluationFailed(f"{path}: it yields a name of more than {LONGEST_NAME} characters")
        return self._masked(rendered)

    def _masked(self, text: str) -> str:
        secrets = self.names.get("secrets")
        return masking(secrets.values())(text) if isinstance(secrets, Mapping) else text

    def many(self, path: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.one(f"{path}[{n}]", text) or "" for n, text in enumerate(texts))

    def named(self, path: str, texts: Mapping[str, str]) -> dict[str, str]:
        return {key: self.one(f"{path}.{key}", text) or "" for key, text in texts.items()}


def _storable(value: object) -> object:
    """As JSON has it: a time, a duration and the like become text."""
    if isinstance(value, dict):
        return {key: _storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    return expr.to_text(value)


def _value(path: str, text: str, names: Context, budget: expr.Budget | None) -> object:
    try:
        return expr.evaluate_whole(text, names, HOST, budget=budget)
    except expr.ExpressionError as error:
        raise EvaluationFailed(f"{path}: {error}") from error


def _step(step: S, texts: _Texts, path: str = "") -> S:
    return replace(
        step,
        name=texts.label(f"{path}name", step.name),
        image=texts.one(f"{path}image", step.image),
        cmd=texts.many(f"{path}cmd", step.cmd),
        env=texts.named(f"{path}env", step.env),
        registry=_registry(step.registry, texts, f"{path}registry."),
        timeout=texts.one(f"{path}timeout", step.timeout, durations.positive_seconds),
    )


def _registry(registry: Registry | None, texts: _Texts, path: str) -> Registry | None:
    if registry is None:
        return None
    return Registry(
        username=texts.one(f"{path}username", registry.username) or "",
        password=texts.one(f"{path}password", registry.password) or "",
    )


def _limits(limits: Limits | None, texts: _Texts) -> Limits | None:
    if limits is None:
        return None
    return Limits(
        cpus=texts.one("limits.cpus", limits.cpus, quantities.nano_cpus),
        memory=texts.one("limits.memory", limits.memory, quantities.memory_bytes),
    )


def _priority(priority: int | str | None, texts: _Texts) -> int | None:
    if not isinstance(priority, str):
        return priority
    return int(texts.one("priority", priority, _check_priority) or 0)


def _check_storable(text: str) -> None:
    if (found := unfit_character(text)) is not None:
        raise ValueError(f"it yields the character {found}, which cannot be stored")


def _check_priority(text: str) -> None:
    if text not in _PRIORITIES:
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to 9")


def _webhook(hook: Webhook, texts: _Texts, path: str) -> Webhook:
    """Rendered here with the names of the parent, a webhook is rendered once more when it is called, with
    those of the subjob: what the first time yields must not be taken for an expression then."""
    url = texts.one(f"{path}url", hook.url, _check_plain) or ""
    headers = {
        key: texts.one(f"{path}headers.{key}", text, _check_plain) or "" for key, text in hook.headers.items()
    }
    return replace(hook, url=url, headers=headers)


def _check_plain(text: str) -> None:
    if expr.is_template(text):
        raise ValueError("it yields a text with {{ in it")


def _with_defaults(definition: TaskDefinition, defaults: Defaults | None) -> TaskDefinition:
    if defaults is None:
        return definition
    return replace(
        definition,
        retry=definition.retry or defaults.retry,
        limits=limits_of(definition.limits, defaults.limits),
        timeout=definition.timeout or defaults.timeout,
        queue=definition.queue or defaults.queue,
        priority=defaults.priority if definition.priority is None else definition.priority,
    )
