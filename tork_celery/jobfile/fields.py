"""The types of values in a job file. Only a string converts: numbers and booleans are taken as written."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from math import isnan
from typing import Any, cast

from marshmallow import Schema, ValidationError, fields, validate

from tork_celery import expr
from tork_celery.domain.identifiers import unfit_character
from tork_celery.jobfile import validators
from tork_celery.jobfile.faults import Faults
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Scalar, describe, plain_value


def docs(description: str, example: str = "") -> dict[str, str]:
    """Return the metadata of a key: its description (Markdown), and an example value in YAML.

    Both appear in the JSON Schema of job files and in docs/job-file.md.
    """
    return {"description": description, "example": example}


def max_length(characters: int) -> validate.Length:
    return validate.Length(max=characters, error=f"longer than {characters} characters")


class String(fields.String):
    """A string, of one line unless `one_line=False`.

    A number or a boolean counts as the characters that stand for it in the file, and null in a list or map as
    the empty string.

    With `template=True` it may contain expressions. The validators of a template run when the expressions are
    evaluated, not here.
    """

    def __init__(
        self,
        *,
        one_line: bool = True,
        template: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._one_line = one_line
        self.template = template

    def read(self, value: Any) -> str:
        """Return the string, before any validator runs. Raises `ValidationError`."""
        text = _written(value)
        if text is None:
            raise ValidationError(f"expected a string, got {describe(value)}")
        if character := unfit_character(text, one_line=self._one_line):
            raise ValidationError(f"must not contain the character {character}")
        return text

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.read(value)
        if self.template and expr.is_template(text):
            _check(expr.check_template, text)
            return text
        for validator in self.validators:
            validator(text)
        return text


class PublicName(String):
    """A name that other users may see, for the reason `shown`, so a template must not use secrets."""

    def __init__(self, *, shown: str, **options: Any) -> None:
        super().__init__(template=True, **options)
        self._shown = shown

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        name = super().deserialize(value)
        if "secrets" in expr.template_names(name):
            raise ValidationError(f"must not use `secrets`: {self._shown}")
        return name


class QueueName(PublicName):
    """The name of a queue."""

    def __init__(self, **options: Any) -> None:
        super().__init__(shown="all users see the names of queues", validate=validators.queue, **options)


class Expression(String):
    """One expression, with or without `{{ }}` around it."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.read(value)
        _check(expr.check_whole, text)
        return text


class Duration(String):
    """A length of time above zero."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=validators.duration, **options)


class Quantity(String):
    """An amount, written as a string or a number and kept as a string."""

    def read(self, value: Any) -> str:
        plain = plain_value(value)
        if type(plain) in (int, float):
            return format(Decimal(repr(plain)), "f")
        if type(plain) is not str:
            raise ValidationError(f"expected a string or a number, got {describe(plain)}")
        return plain


class Integer(fields.Integer):
    """A whole number."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        plain = plain_value(value)
        if type(plain) is not int:
            raise ValidationError(f"expected a whole number, got {describe(plain)}")
        return plain


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
        plain = plain_value(value)
        if type(plain) is not bool:
            raise ValidationError(f"expected true or false, got {describe(plain)}")
        return plain


class Number(fields.Float):
    """A whole number or a fraction."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        plain = plain_value(value)
        if type(plain) not in (int, float):
            raise ValidationError(f"expected a number, got {describe(plain)}")
        number = float(plain)
        if isnan(number):  # it would pass the check of a range
            raise ValidationError("expected a number, got NaN")
        return number


class _ScalarList(fields.List[Any]):
    """A list of strings or numbers."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        faults, items = Faults(), []
        deserialize = self.inner.deserialize
        for index, item in _enumerate(value):
            try:
                items.append(deserialize(item))
            except ValidationError as error:
                faults.add((index,), error.messages)
        faults.raise_any()
        return tuple(items)


class StringList(_ScalarList):
    """A list of strings."""

    def __init__(self, item: String, **options: Any) -> None:
        super().__init__(item, **options)


class IntegerList(_ScalarList):
    """A list of whole numbers."""

    def __init__(self, item: Integer, **options: Any) -> None:
        super().__init__(item, **options)


class StringMap(fields.Dict):
    """A mapping of names to strings."""

    def __init__(self, keys: String, values: String, **options: Any) -> None:
        super().__init__(keys=keys, values=values, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(f"expected a mapping, got {describe(value)}")
        faults, texts = Faults(), dict[str, str]()
        key_field, value_field = cast(String, self.key_field), cast(String, self.value_field)
        for key, item in value.items():
            try:
                key_field.deserialize(key)
                texts[key] = value_field.deserialize(item)
            except ValidationError as error:
                faults.add((key,), error.messages)
        faults.raise_any()
        return texts


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


class BooleanOrNested(Nested):
    """The value true or false, or a mapping with a schema of its own."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, Mapping):
            return super()._deserialize(value, *arguments, **options)
        plain = plain_value(value)
        if type(plain) is not bool:
            raise ValidationError(f"expected true, false or a mapping, got {describe(plain)}")
        return plain


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


def _written(value: Any) -> str | None:
    """Return a value as a string, as the document writes it; None for a list or a mapping."""
    match value:
        case str():
            return value
        case Scalar():
            return value.text
        case bool():
            return str(value).lower()  # JSON has one way to write it
        case None:
            return ""
    return None


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
