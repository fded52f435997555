"""The kinds of values in a job file. They check types without converting, and say what would be right."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn, cast

from marshmallow import Schema, ValidationError, fields, validate

from tork_celery.spec.faults import MOST_FAULTS, count
from tork_celery.spec.shape import Shape
from tork_celery.spec.texts import described, unfit

REQUIRED = "required, but it is missing or empty"
_Messages = dict[str, str | list[Any] | dict[Any, Any]]
_MESSAGES: _Messages = {"required": REQUIRED}
_TEXT_MESSAGES: _Messages = _MESSAGES | {"null": 'expected a string, got nothing; write "" for an empty one'}


def at_most(characters: int) -> validate.Length:
    return validate.Length(max=characters, error=f"longer than {characters} characters")


class Text(fields.String):
    """A string of one line; with `one_line=False`, of any text."""

    default_error_messages = _TEXT_MESSAGES

    def __init__(self, *, one_line: bool = True, hint: str = "write it in quotes", **options: Any) -> None:
        super().__init__(**options)
        self._one_line = one_line
        self._hint = hint

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if type(value) is not str:
            hint = "" if isinstance(value, list | dict) else f"; {self._hint}"
            raise ValidationError(f"expected a string, got {described(value)}{hint}")
        if (fault := unfit(value, one_line=self._one_line)) is not None:
            raise ValidationError(fault)
        return value


class Amount(Text):
    """A quantity, as a string or as a number; it is kept as a string."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
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


class Texts(fields.List[Any]):
    """A list of strings."""

    def __init__(self, item: Text, **options: Any) -> None:
        super().__init__(item, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, list):
            _refuse_for_list(value)
        faults, texts = _Faults(), []
        for index, item in enumerate(value):
            try:
                texts.append(self.inner.deserialize(item))
            except ValidationError as error:
                faults.add(index, error)
        faults.raise_any()
        return tuple(texts)


class TextMap(fields.Dict):
    """A mapping of names to strings."""

    def __init__(self, keys: Text, values: Text, **options: Any) -> None:
        super().__init__(keys=keys, values=values, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(f"expected a mapping, got {described(value)}")
        keys, values, faults = cast(Text, self.key_field), cast(Text, self.value_field), _Faults()
        for key, item in value.items():
            try:
                keys.deserialize(key)
                values.deserialize(item)
            except ValidationError as error:
                faults.add(key, error)
        faults.raise_any()
        return value


class _Inner(fields.Nested):
    """Shapes inside of a shape. What the outer one requires, the inner ones do."""

    @property
    def schema(self) -> Schema:
        schema = super().schema
        cast(Shape, schema).image_required = cast(Shape, self.root).image_required
        return schema


class Block(_Inner):
    """One shape."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return load(self.schema, value)


class Items(_Inner):
    """A list of shapes."""

    default_error_messages = _MESSAGES

    def __init__(
        self, shape: type[Shape], *, least: int = 0, most: int | None = None, **options: Any
    ) -> None:
        super().__init__(shape, **options)
        self._least = least
        self._most = most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            _refuse_for_list(value)
        self._check_length(len(value))
        schema, faults, items = self.schema, _Faults(), []
        for index, item in enumerate(value):
            try:
                items.append(load(schema, item))
            except ValidationError as error:
                faults.add(index, error)
        faults.raise_any()
        return tuple(items)

    def _check_length(self, length: int) -> None:
        if length < self._least:
            raise ValidationError(f"expected at least {self._least}")
        if self._most is not None and length > self._most:
            raise ValidationError(f"expected at most {self._most:,}, got {length:,}")


def load(schema: Schema, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValidationError(f"expected a mapping, got {described(value)}")
    return schema.load(value)


class _Faults:
    """Faults of entries, as marshmallow nests them. Raises once there are as many as are reported."""

    def __init__(self) -> None:
        self._messages: dict[str | int, Any] = {}
        self._count = 0

    def add(self, step: str | int, error: ValidationError) -> None:
        self._messages[step] = error.messages
        self._count += count(error.messages)
        if self._count >= MOST_FAULTS:
            self.raise_any()

    def raise_any(self) -> None:
        if self._messages:
            raise ValidationError(cast(Any, self._messages))


def _refuse_for_list(value: Any) -> NoReturn:
    hint = "; write it as a list, [like, this]" if isinstance(value, str) else ""
    raise ValidationError(f"expected a list, got {described(value)}{hint}")
