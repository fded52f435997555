"""Search queries for jobs."""

import re
from dataclasses import dataclass
from typing import TypeVar

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.domain.states import JobState

T = TypeVar("T")

LONGEST_QUERY = 1000
_TERM = re.compile(r'(?:(?P<key>tags?|status):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>\S+))')
_WORD = re.compile(r"[^\s\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")  # ASCII punctuation separates words


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search for jobs with all `words`, any of `tags` and any of `states`; empty criteria do not count.

    Words have no punctuation. An `impossible` search, such as `!!!`, finds nothing.
    """

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    states: tuple[JobState, ...] = ()
    impossible: bool = False


EVERYTHING = Search()


def parse(query: str) -> Search:
    """Parse a query. Raises InvalidInput.

    `tag:x`, `tags:x,y` and `status:x` are filters; a value with a space is quoted. All other terms are words.
    """
    if len(query) > LONGEST_QUERY:
        raise InvalidInput(Fault(path="q", message=f"longer than {LONGEST_QUERY} characters"))
    words, tags, states = list[str](), list[str](), list[JobState]()
    for term in _TERM.finditer(query.replace("\0", " ")):
        value = term["plain"] if term["quoted"] is None else term["quoted"]
        if term["key"] == "tag":
            tags.append(value)
        elif term["key"] == "tags":
            tags += value.split(",")
        elif term["key"] == "status":
            states.append(_state(value))
        else:
            words += tokens(value)
    impossible = bool(query.strip()) and not (words or tags or states)
    return Search(words=_unique(words), tags=_unique(tags), states=_unique(states), impossible=impossible)


def tokens(text: str) -> list[str]:
    """Return the words of a text. Words have no punctuation."""
    return _WORD.findall(text)


def _unique(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _state(text: str) -> JobState:
    try:
        return JobState(text.upper())
    except ValueError:
        known = ", ".join(JobState)
        message = f"status: {text[:40]!r} is not a state of a job; the states are {known}"
        raise InvalidInput(Fault(path="q", message=message)) from None
