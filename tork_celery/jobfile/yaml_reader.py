"""A bounded YAML reader: one document, plain values and their places, in one pass.

It builds on the parser's events, not on composed nodes: libyaml's composer recurses once a level, so that
100,000 brackets would overflow the stack of C. It takes a quarter of the time, too.
"""

import re
from typing import Any

import yaml
from yaml.reader import ReaderError

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile.source import TOO_DEEP, Source, position
from tork_celery.jobfile.yaml_builder import Builder

# At the start of a line by YAML's count, which has more kinds of line breaks than one.
_TAG_DIRECTIVE = re.compile("^%TAG|[\n\r\x85\u2028\u2029]%TAG")
# It looks ahead, so it may find out before the builder does.
_TOO_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"


def read(text: str) -> Source:
    """The one document in `text`; raises `InvalidInput`."""
    _refuse_tag_directives(text)
    builder = Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.YAMLError as error:
        fault = _syntax_fault(error, text)
    else:
        return builder.source()
    raise InvalidInput(fault)


def _refuse_tag_directives(text: str) -> None:
    """They name tags, which are refused anyway; and libyaml compares each of them with all before it."""
    found = _TAG_DIRECTIVE.search(text)
    if found:
        raise InvalidInput(Fault("", "a %TAG directive is not allowed", *position(text, found.end())))


def _syntax_fault(error: Any, text: str) -> Fault:
    if isinstance(error, ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")
        place = position(before, len(before))
        return Fault("", f"not valid YAML: the character U+{error.character:04X} is not allowed", *place)
    mark = error.problem_mark or error.context_mark
    is_deep = error.problem == _TOO_DEEP_FOR_LIBYAML
    message = TOO_DEEP if is_deep else f"not valid YAML: {error.problem}"
    if error.context and not is_deep:
        message += f" ({error.context}"
        message += f" that starts in line {error.context_mark.line + 1})" if error.context_mark else ")"
    return Fault("", message, *((mark.line + 1, mark.column + 1) if mark else ()))
