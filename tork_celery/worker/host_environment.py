"""Environment variables of the worker that its steps and sidecars see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tork_celery.domain.masking import MaskedValues, is_secret


@dataclass(frozen=True, kw_only=True)
class HostEnvironment:
    """The variables as steps see them. `secrets` are the values to mask: no other process knows them."""

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Sequence[tuple[str, str]], environ: Mapping[str, str]) -> "HostEnvironment":
        """Return the variables of `environ` by name and alias, without those that are not set.

        Either name may say that the value is secret.
        """
        given = [(name, alias) for name, alias in names if name in environ]
        return cls(
            variables={alias: environ[name] for name, alias in given},
            secrets=frozenset(environ[name] for name, alias in given if is_secret(name) or is_secret(alias)),
        )

    def with_env(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a step. Its own `env` has precedence."""
        return {**self.variables, **env}

    def mask(self, text: str) -> str:
        """Return a text with the secrets masked."""
        return self._masked.mask(text) if self.secrets else text

    @cached_property
    def _masked(self) -> MaskedValues:
        return MaskedValues(self.secrets)
