"""Evaluate the expressions of a definition when its task starts.

All functions raise EvaluationFailed for an expression that fails or whose value does not fit its field. The
message names the field and the cause.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import TypeVar

from tork_celery import expr
from tork_celery.domain import durations, quantities, queue_names
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
from tork_celery.domain.dispatched import MAX_TASK_CHARS
from tork_celery.domain.errors import EvaluationFailed
from tork_celery.domain.identifiers import LONGEST_IMAGE, LONGEST_NAME, check_var, unfit_character
from tork_celery.domain.masking import Mask, excess, mask_name, rendered_values
from tork_celery.domain.model import Job

MAX_ITEMS = 100_000
"""Longest list of an `each`: every item is a row."""

_CHARS_OF_A_VALUE = 8  # a number, or what JSON puts around a value
_PRIORITIES = tuple(str(number) for number in range(10))
S = TypeVar("S", bound=StepDefinition)
Context = Mapping[str, object]


def context(job: Job, results: expr.MapSource, scope: Context) -> dict[str, object]:
    """Return the names that expressions of a job see.

    `results` has the results of its tasks by `var`, `scope` the names of the enclosing `each` tasks.
    """
    return {
        "inputs": job.definition.inputs,
        "secrets": job.definition.secrets,
        "tasks": expr.LazyMap(results),
        "job": {"id": job.id, "name": job.definition.name},
        **scope,
    }


@dataclass(slots=True)
class Evaluator:
    """Evaluates the expressions of one task. `path` is the field, for error messages.

    `mask` masks the secrets of the job. `chars` counts the characters of all texts and items that they yield.
    """

    names: Context
    host: expr.HostFunctions
    budget: expr.Budget
    mask: Mask
    chars: int = 0

    def value(self, path: str, text: str) -> object:
        """Return the value of a field that is one expression."""
        try:
            return expr.evaluate_whole(text, self.names, self.host, budget=self.budget)
        except expr.ExpressionError as error:
            raise EvaluationFailed(f"{path}: {error}") from error

    def optional_text(
        self,
        path: str,
        text: str | None,
        check: Callable[[str], object] | None = None,
        *,
        one_line: bool = True,
    ) -> str | None:
        """Render a template, or return None for None.

        `one_line` and `check` are the checks of the field in job files; `check` raises ValueError. They run
        on rendered text only.
        """
        if text is None or not expr.is_template(text):
            return text
        try:
            rendered = expr.render(text, self.names, self.host, budget=self.budget)
            self.count(path, len(rendered))
            _check_characters(rendered, one_line=one_line)
        except ValueError as error:
            raise EvaluationFailed(f"{path}: {error}") from error
        try:
            if check is not None:
                check(rendered)
        except ValueError as error:
            # The message may quote a part of the text, in which a mask would not find a secret.
            has_secret = self.mask(rendered) != rendered
            raise EvaluationFailed(
                f"{path}: {'the value of a secret is not valid here' if has_secret else error}"
            ) from error
        return rendered

    def text(
        self,
        path: str,
        text: str,
        check: Callable[[str], object] | None = None,
        *,
        one_line: bool = True,
    ) -> str:
        """Render a template."""
        return self.optional_text(path, text, check, one_line=one_line) or ""

    def name(self, path: str, text: str | None) -> str | None:
        """Render the template of a name. Secrets in it are masked, because many places show it."""
        rendered = self.optional_text(path, text)
        if rendered is None:
            return None
        if len(rendered) > LONGEST_NAME:
            raise EvaluationFailed(f"{path}: the name is longer than {LONGEST_NAME} characters")
        return mask_name(rendered, self.mask)

    def texts(self, path: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.text(f"{path}[{n}]", text, one_line=False) for n, text in enumerate(texts))

    def mapping(
        self, path: str, texts: Mapping[str, str], check: Callable[[str], object] | None = None
    ) -> dict[str, str]:
        return {key: self.text(f"{path}.{key}", text, check, one_line=False) for key, text in texts.items()}

    def count(self, path: str, chars: int) -> None:
        """Count the characters of a value. Raises EvaluationFailed when the task becomes too large."""
        self.chars += chars
        if self.chars > MAX_TASK_CHARS:
            raise EvaluationFailed(f"{path}: the task would have more than {MAX_TASK_CHARS:,} characters")


# ---------------------------------------------------------------- fields of a task


def condition_holds(definition: TaskDefinition, evaluator: Evaluator) -> bool:
    """Return whether the `if` of a task allows it to run."""
    return definition.if_ is None or is_true(evaluator.value("if", definition.if_))


def is_true(value: object) -> bool:
    """Return whether a condition with this value holds: all values but false and the text `false`."""
    return value is not False and value != "false"


def evaluated_task(
    definition: TaskDefinition, defaults: Defaults | None, evaluator: Evaluator
) -> TaskDefinition:
    """Return a definition with the defaults of its job and all templates rendered.

    The block of a composite is not rendered: its children are when they start.
    """
    if definition.is_composite:
        return replace(
            definition,
            name=evaluator.name("name", definition.name),
            var=evaluator.optional_text("var", definition.var, check_var),
        )
    definition = _step(_with_defaults(definition, defaults), evaluator)
    evaluated = replace(
        definition,
        queue=_queue(definition.queue, evaluator),
        var=evaluator.optional_text("var", definition.var, check_var),
        limits=_limits(definition.limits, evaluator),
        priority=_priority(definition.priority, evaluator),
        pre=_steps("pre", definition.pre, evaluator),
        post=_steps("post", definition.post, evaluator),
        sidecars=_steps("sidecars", definition.sidecars, evaluator),
    )
    if fault := excess(rendered_values(evaluated)):
        path, reason = fault
        raise EvaluationFailed(f"{'.'.join(map(str, path))}: {reason}")
    return evaluated


def items(each: Each, evaluator: Evaluator) -> list[object]:
    """Return the list of an `each`, as JSON values."""
    value = evaluator.value("each.list", each.list)
    if not isinstance(value, list | tuple):
        raise EvaluationFailed(f"each.list: must be a list; its type is {expr.type_name(value)}")
    if len(value) > MAX_ITEMS:
        raise EvaluationFailed(
            f"each.list: the list has {len(value):,} items; at most {MAX_ITEMS:,} are allowed"
        )
    return [_json_value(item, evaluator) for item in value]


def subjob(definition: Subjob, evaluator: Evaluator) -> JobDefinition:
    """Return the definition of the job that a `subjob` task starts.

    The job sees nothing of its parent but the rendered inputs and secrets.
    """
    return JobDefinition(
        name=evaluator.name("subjob.name", definition.name) or definition.name,
        description=definition.description,
        tasks=definition.tasks,
        inputs=evaluator.mapping("subjob.inputs", definition.inputs),
        secrets=evaluator.mapping("subjob.secrets", definition.secrets),
        output=definition.output,
        auto_delete=definition.auto_delete,
        webhooks=tuple(
            _webhook(webhook, evaluator, f"subjob.webhooks[{n}].")
            for n, webhook in enumerate(definition.webhooks)
        ),
    )


def output(job: Job, evaluator: Evaluator) -> str | None:
    """Return the rendered `output` of a job, which is its result."""
    return evaluator.optional_text("output", job.definition.output, one_line=False)


def _steps(path: str, steps: tuple[S, ...], evaluator: Evaluator) -> tuple[S, ...]:
    return tuple(_step(step, evaluator, f"{path}[{n}].") for n, step in enumerate(steps))


def _step(step: S, evaluator: Evaluator, path: str = "") -> S:
    return replace(
        step,
        name=evaluator.name(f"{path}name", step.name),
        image=evaluator.optional_text(f"{path}image", step.image, _check_image),
        cmd=evaluator.texts(f"{path}cmd", step.cmd),
        env=evaluator.mapping(f"{path}env", step.env),
        registry=_registry(step.registry, evaluator, f"{path}registry."),
        timeout=evaluator.optional_text(f"{path}timeout", step.timeout, durations.positive_seconds),
    )


def _queue(queue: str | None, evaluator: Evaluator) -> str | None:
    """Render the name of a queue. All users see the names of queues, so it must hold no secret."""
    name = evaluator.optional_text("queue", queue, queue_names.check)
    if name and name != queue_names.DEFAULT_QUEUE and evaluator.mask(name) != name:
        raise EvaluationFailed("queue: the name holds the value of a secret; choose another one")
    return name


def _registry(registry: Registry | None, evaluator: Evaluator, path: str) -> Registry | None:
    if registry is None:
        return None
    return Registry(
        username=evaluator.text(f"{path}username", registry.username),
        password=evaluator.text(f"{path}password", registry.password),
    )


def _limits(limits: Limits | None, evaluator: Evaluator) -> Limits | None:
    if limits is None:
        return None
    return Limits(
        cpus=evaluator.optional_text("limits.cpus", limits.cpus, quantities.nano_cpus),
        memory=evaluator.optional_text("limits.memory", limits.memory, quantities.memory_bytes),
    )


def _priority(priority: int | str | None, evaluator: Evaluator) -> int | None:
    if not isinstance(priority, str):
        return priority
    return int(evaluator.text("priority", priority, _check_priority) or 0)


def _webhook(webhook: Webhook, evaluator: Evaluator, path: str) -> Webhook:
    """Render a webhook of a subjob with the names of the parent.

    It is rendered once more, with the names of the subjob, when it is called. The first rendering must not
    yield a template, or a value of the parent would be evaluated.
    """
    return replace(
        webhook,
        url=evaluator.text(f"{path}url", webhook.url, _check_no_template),
        headers=evaluator.mapping(f"{path}headers", webhook.headers, _check_no_template),
    )


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


# ---------------------------------------------------------------- checks of values


def _json_value(value: object, evaluator: Evaluator) -> object:
    """Return a value of the list of an `each` as JSON has it: times, durations and the like become text.

    A value that contains another one many times is small in memory, and large in the datastore.
    """
    evaluator.count("each.list", _CHARS_OF_A_VALUE)
    if isinstance(value, dict):
        entries = value.items()
        return {_json_value(key, evaluator): _json_value(inner, evaluator) for key, inner in entries}
    if isinstance(value, list | tuple):
        return [_json_value(inner, evaluator) for inner in value]
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    text = expr.to_text(value)
    evaluator.count("each.list", len(text))
    return text


def _check_characters(text: str, *, one_line: bool) -> None:
    if (character := unfit_character(text)) is not None:
        raise ValueError(f"contains the character {character}, which cannot be stored")
    if one_line and (character := unfit_character(text, one_line=True)) is not None:
        raise ValueError(
            f"contains the character {character}; it must be one line without control characters"
        )


def _check_image(image: str) -> None:
    if len(image) > LONGEST_IMAGE:
        raise ValueError(f"longer than {LONGEST_IMAGE:,} characters")


def _check_priority(text: str) -> None:
    if text not in _PRIORITIES:
        raise ValueError(f"{text[:40]!r} is not a whole number from 0 to 9")


def _check_no_template(text: str) -> None:
    if expr.is_template(text):
        raise ValueError("the rendered text contains {{, which is not allowed here")
