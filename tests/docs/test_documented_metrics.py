"""The metrics that the documentation lists are those that there are."""

from tests.docs.documents import first_column, section, text_of
from tork_celery.api import prometheus


def test_every_metric_is_in_the_table_and_nothing_else_is() -> None:
    documented = first_column(section(text_of("docs/operations.md"), "## Metrics"))
    assert documented == [gauge.name for gauge in prometheus.CATALOGUE]
