"""The limits of expressions in docs/job-file.md are those of the code."""

import re

from tests.docs.documents import section, text_of
from tork_celery.domain import dispatched, evaluation, identifiers, plan_limits, webhooks
from tork_celery.expr import limits
from tork_celery.services import early_end
from tork_celery.store import retention

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\b100\b")


def test_limits_of_expressions_have_the_documented_values() -> None:
    page = section(text_of("docs/job-file.md"), "## Limits of a file").partition("A small file")[2]
    numbers = {int(number.replace(",", "")) for number in _NUMBER.findall(page)}

    assert numbers == {
        plan_limits.MAX_STEPS,
        limits.TEXT_CHARS,
        limits.TEMPLATE_CHARS,
        limits.LOADED_CHARS,
        evaluation.MAX_ITEMS,
        dispatched.MAX_TASK_CHARS,
        dispatched.MAX_TASKS,
        dispatched.MAX_CHARS,
        dispatched.MAX_QUEUES,
        webhooks.MAX_STEPS,
    }


def test_documented_batches_are_those_of_the_code() -> None:
    assert f"are added {plan_limits.MAX_BATCH} at a time" in text_of("docs/job-file.md")
    operations = text_of("docs/operations.md").replace("\n", " ")
    assert f"end in batches of {early_end.MAX_ENDED_TASKS}" in operations
    assert f"and {retention.MAX_ROWS} rows of a table" in operations


def test_documented_length_of_names_is_that_of_the_code() -> None:
    assert f"A name has {identifiers.LONGEST_NAME} characters at most" in text_of("docs/job-file.md")
