"""The kinds of values in a job file. They check types without converting, and say what would be right."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

from marshmallow import Schema, ValidationError, fields, validate

from tork_celery import expr
from tork_celery.jobfile import validators
from tork_celery.jobfile.faults import Faults
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.texts import described, unfit


def at_most(characters: int) -> validate.Length:
    return validate.Length(max=characters, error=f"longer than {characters} characters")


class Text(fields.String):
    """A string of one line; with `one_line=False`, of any text. With `template=True` it may hold expressions,
    and what the validators say of the text is only known when these are evaluated."""

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

    def take(self, value: Any) -> str:
        """The text, of which no validator has been asked. Raises `ValidationError`."""
        if type(value) is not str:
            hint = 'write "" for an empty one' if value is None else self._hint
            hint = "" if isinstance(value, list | dict) else f"; {hint}"
            raise ValidationError(f"expected a string, got {described(value)}{hint}")
        if (fault := unfit(value, one_line=self._one_line)) is not None:
            raise ValidationError(fault)
        return value

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.take(value)
        if self.template and expr.is_template(text):
            _check(expr.check_template, text)
            return text
        for validator in self.validators:
            validator(text)
        return text


class Expression(Text):
    """One expression, with `{{ }}` around it or without."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.take(value)
        _check(expr.check_whole, text)
        return text


class Duration(Text):
    """A length of time above zero."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=validators.duration, hint="write it like 90s or 1h30m", **options)


class Amount(Text):
    """A quantity, as a string or as a number; it is kept as a string."""

    def take(self, value: Any) -> str:
        if type(value) in (int, float):
            return format(Decimal(repr(value)), "f")
        if type(value) is not str:
            raise ValidationError(f"expected a string or a number, got {described(value)}")
        return value


class Whole(fields.Integer):
    """A whole number."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if type(value) is not int:
            raise ValidationError(f"expected a whole number, got {described(value)}")
        return value


class WholeOrTemplate(Whole):
    """A whole number, or a template of one."""

    def deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, str) and expr.is_template(value):
            _check(expr.check_template, value)
            return value
        return super().deserialize(value, *arguments, **options)


class Flag(fields.Boolean):
    """true or false."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError(f"expected true or false, got {described(value)}")
        return value


class Number(fields.Float):
    """A whole number or one with a fraction."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if type(value) not in (int, float):
            raise ValidationError(f"expected a number, got {described(value)}")
        return float(value)


class Texts(fields.List[Any]):
    """A list of strings."""

    def __init__(self, item: Text, **options: Any) -> None:
        super().__init__(item, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        faults, texts = Faults(), []
        take = cast(Text, self.inner).deserialize
        for index, item in _items(value):
            try:
                texts.append(take(item))
            except ValidationError as error:
                faults.add((index,), error.messages)
        faults.raise_any()
        return tuple(texts)


class TextMap(fields.Dict):
    """A mapping of names to strings."""

    def __init__(self, keys: Text, values: Text, **options: Any) -> None:
        super().__init__(keys=keys, values=values, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(f"expected a mapping, got {described(value)}")
        faults = Faults()
        take_key, take = cast(Text, self.key_field).deserialize, cast(Text, self.value_field).deserialize
        for key, item in value.items():
            try:
                take_key(key)
                take(item)
            except ValidationError as error:
                faults.add((key,), error.messages)
        faults.raise_any()
        return value


class _Inner(fields.Nested):
    """Shapes inside of a shape. What the outer one requires, the inner ones do."""

    @property
    def schema(self) -> Schema:
        schema = super().schema
        cast(MappingSchema, schema).image_required = cast(MappingSchema, self.root).image_required
        return schema


class Block(_Inner):
    """One shape."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.schema.load(value)


class Items(_Inner):
    """A list of shapes."""

    def __init__(
        self,
        shape: "type[MappingSchema] | Callable[[], MappingSchema]",
        *,
        least: int = 0,
        most: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(shape, **options)
        self.least = least
        self.most = most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        entries = _items(value)
        self._check_length(len(value))
        faults, loaded, load = Faults(), [], self.schema.load
        for index, item in entries:
            try:
                loaded.append(load(item))
            except ValidationError as error:
                faults.add((index,), error.messages)
        faults.raise_any()
        return tuple(loaded)

    def _check_length(self, length: int) -> None:
        if length < self.least:
            raise ValidationError(f"expected at least {self.least}, got {length}")
        if self.most is not None and length > self.most:
            raise ValidationError(f"expected at most {self.most:,}, got {length:,}")


def _check(check: Callable[[str], None], text: str) -> None:
    try:
        check(text)
    except expr.ExpressionError as error:
        raise ValidationError(str(error)) from None


def _items(value: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(value, list):
        return enumerate(value)
    hint = "; write it as a list, [like, this]" if isinstance(value, str) else ""
    raise ValidationError(f"expected a list, got {described(value)}{hint}")
