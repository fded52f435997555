"""Environment variables of the worker that its steps and sidecars see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tork_celery.domain.definition import StepDefinition
from tork_celery.domain.masking import MaskedValues, is_secret
from tork_celery.domain.model import Task
from tork_celery.domain.trace_ids import traceparent

TRACEPARENT = "TRACEPARENT"
"""Variable by which the programs of steps continue the trace of their job."""


@dataclass(frozen=True, kw_only=True)
class HostEnvironment:
    """The variables as steps see them. `secrets` are the values to mask: no other process knows them.

    With `traced`, a step also sees the span of its task.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    traced: bool = False

    @classmethod
    def of(
        cls, names: Sequence[tuple[str, str]], environ: Mapping[str, str], *, traced: bool = False
    ) -> "HostEnvironment":
        """Return the variables of `environ` by name and alias, without those that are not set.

        Either name may say that the value is secret.
        """
        given = [(name, alias) for name, alias in names if name in environ]
        return cls(
            variables={alias: environ[name] for name, alias in given},
            secrets=frozenset(environ[name] for name, alias in given if is_secret(name) or is_secret(alias)),
            traced=traced,
        )

    def of_step(self, task: Task, definition: StepDefinition) -> dict[str, str]:
        """Return the environment of a step or sidecar of a task. Its own `env` has precedence."""
        span = {TRACEPARENT: traceparent(task.job_id, task.id)} if self.traced else {}
        return {**self.variables, **span, **definition.env}

    def mask(self, text: str) -> str:
        """Return a text with the secrets masked."""
        return self._masked.mask(text) if self.secrets else text

    @cached_property
    def _masked(self) -> MaskedValues:
        return MaskedValues(self.secrets)
