"""A bounded YAML reader: one document, as plain values with their positions, in one pass.

The reader consumes the parser's events. libyaml's composer is not used: it recurses once per level, so that
100,000 brackets overflow the C stack, and it takes four times as long.
"""

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile.source import TOO_DEEP, Source, line_and_column
from tork_celery.jobfile.yaml_builder import Builder

# At the start of a line, with all line breaks that YAML knows.
_TAG_DIRECTIVE = re.compile("^%TAG|[\n\r\x85\u2028\u2029]%TAG")
# libyaml looks ahead, so it may notice the depth before the builder does.
_TOO_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"


def read(text: str) -> Source:
    """Return the one document in `text`. Raises `InvalidInput`."""
    _refuse_tag_directives(text)
    builder = Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.handle(event)
    except yaml.YAMLError as error:
        fault = _syntax_fault(error, text)
    else:
        return builder.source()
    raise InvalidInput(fault)


def _refuse_tag_directives(text: str) -> None:
    """Raise InvalidInput for %TAG: tags are refused anyway, and libyaml compares all directives pairwise."""
    match = _TAG_DIRECTIVE.search(text)
    if match:
        position = line_and_column(text, match.end())
        raise InvalidInput(Fault("", "a %TAG directive is not allowed", *position))


def _syntax_fault(error: Any, text: str) -> Fault:
    if isinstance(error, ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")
        position = line_and_column(before, len(before))
        message = f"not valid YAML: the character U+{error.character:04X} is not allowed"
        return Fault("", message, *position)
    mark = error.problem_mark or error.context_mark
    is_deep = error.problem == _TOO_DEEP_FOR_LIBYAML
    message = TOO_DEEP if is_deep else f"not valid YAML: {error.problem}"
    if error.context and not is_deep:
        message += f" ({error.context}"
        message += f" that starts in line {error.context_mark.line + 1})" if error.context_mark else ")"
    return Fault("", message, *((mark.line + 1, mark.column + 1) if mark else ()))
