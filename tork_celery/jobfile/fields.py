"""The types of values in a job file. A field checks the type and does not convert."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from math import isnan
from typing import Any, cast

from marshmallow import Schema, ValidationError, fields, validate

from tork_celery import expr
from tork_celery.domain.identifiers import unfit_character
from tork_celery.jobfile import validators
from tork_celery.jobfile.faults import Faults
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import describe


def docs(description: str, example: str = "") -> dict[str, str]:
    """Return the metadata of a key: its description (Markdown), and an example value in YAML.

    Both appear in the JSON Schema of job files and in docs/job-file.md.
    """
    return {"description": description, "example": example}


def max_length(characters: int) -> validate.Length:
    return validate.Length(max=characters, error=f"longer than {characters} characters")


class String(fields.String):
    """A string, of one line unless `one_line=False`.

    With `template=True` it may contain expressions. The validators of a template run when the expressions are
    evaluated, not here.
    """

    def __init__(
        self,
        *,
        one_line: bool = True,
        hint: str = "write it in quotes",
        template: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._one_line = one_line
        self._hint = hint
        self.template = template

    def read(self, value: Any) -> str:
        """Return the string, before any validator runs. Raises `ValidationError`."""
        if type(value) is not str:
            hint = 'write "" for an empty string' if value is None else self._hint
            hint = "" if isinstance(value, list | dict) else f"; {hint}"
            raise ValidationError(f"expected a string, got {describe(value)}{hint}")
        if character := unfit_character(value, one_line=self._one_line):
            raise ValidationError(f"must not contain the character {character}")
        return value

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.read(value)
        if self.template and expr.is_template(text):
            _check(expr.check_template, text)
            return text
        for validator in self.validators:
            validator(text)
        return text


class QueueName(String):
    """The name of a queue. All users see the names of queues, so a template must not use secrets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(template=True, validate=validators.queue, **options)

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        name = super().deserialize(value)
        if "secrets" in expr.template_names(name):
            raise ValidationError("must not use `secrets`: all users see the names of queues")
        return name


class Expression(String):
    """One expression, with or without `{{ }}` around it."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.read(value)
        _check(expr.check_whole, text)
        return text


class Duration(String):
    """A length of time above zero."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=validators.duration, hint="write it like 90s or 1h30m", **options)


class Quantity(String):
    """An amount, written as a string or a number and kept as a string."""

    def read(self, value: Any) -> str:
        if type(value) in (int, float):
            return format(Decimal(repr(value)), "f")
        if type(value) is not str:
            raise ValidationError(f"expected a string or a number, got {describe(value)}")
        return value


class Integer(fields.Integer):
    """A whole number."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is not int:
            raise ValidationError(f"expected a whole number, got {describe(value)}")
        return value


class IntegerOrTemplate(Integer):
    """A whole number, or a template that yields one."""

    def deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, str) and expr.is_template(value):
            _check(expr.check_template, value)
            return value
        return super().deserialize(value, *arguments, **options)


class Boolean(fields.Boolean):
    """The value true or false."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError(f"expected true or false, got {describe(value)}")
        return value


class Number(fields.Float):
    """A whole number or a fraction."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if type(value) not in (int, float):
            raise ValidationError(f"expected a number, got {describe(value)}")
        number = float(value)
        if isnan(number):  # it would pass the check of a range
            raise ValidationError("expected a number, got NaN")
        return number


class StringList(fields.List[Any]):
    """A list of strings."""

    def __init__(self, item: String, **options: Any) -> None:
        super().__init__(item, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        faults, texts = Faults(), []
        deserialize = cast(String, self.inner).deserialize
        for index, item in _enumerate(value):
            try:
                texts.append(deserialize(item))
            except ValidationError as error:
                faults.add((index,), error.messages)
        faults.raise_any()
        return tuple(texts)


class StringMap(fields.Dict):
    """A mapping of names to strings."""

    def __init__(self, keys: String, values: String, **options: Any) -> None:
        super().__init__(keys=keys, values=values, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(f"expected a mapping, got {describe(value)}")
        faults = Faults()
        key_field, value_field = cast(String, self.key_field), cast(String, self.value_field)
        for key, item in value.items():
            try:
                key_field.deserialize(key)
                value_field.deserialize(item)
            except ValidationError as error:
                faults.add((key,), error.messages)
        faults.raise_any()
        return value


class _WithSchema(fields.Nested):
    """A field whose values have a schema. The inner schema requires images if the outer one does."""

    @property
    def schema(self) -> Schema:
        schema = super().schema
        cast(MappingSchema, schema).image_required = cast(MappingSchema, self.root).image_required
        return schema


class Nested(_WithSchema):
    """A mapping with a schema of its own."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.schema.load(value)


class NestedList(_WithSchema):
    """A list of mappings that have one schema."""

    def __init__(
        self,
        schema: "type[MappingSchema] | Callable[[], MappingSchema]",
        *,
        min_items: int = 0,
        max_items: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(schema, **options)
        self.min_items = min_items
        self.max_items = max_items

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        items = _enumerate(value)
        self._check_length(len(value))
        faults, loaded, load = Faults(), [], self.schema.load
        for index, item in items:
            try:
                loaded.append(load(item))
            except ValidationError as error:
                faults.add((index,), error.messages)
        faults.raise_any()
        return tuple(loaded)

    def _check_length(self, length: int) -> None:
        if length < self.min_items:
            raise ValidationError(f"expected at least {self.min_items}, got {length}")
        if self.max_items is not None and length > self.max_items:
            raise ValidationError(f"expected at most {self.max_items:,}, got {length:,}")


def _check(check: Callable[[str], None], text: str) -> None:
    try:
        check(text)
    except expr.ExpressionError as error:
        raise ValidationError(str(error)) from None


def _enumerate(value: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(value, list):
        return enumerate(value)
    hint = "; write it as a list, [like, this]" if isinstance(value, str) else ""
    raise ValidationError(f"expected a list, got {describe(value)}{hint}")
