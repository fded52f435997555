"""Job definitions with composites, for tests of services."""

from tests.domain.samples import job_definition, task_definition
from tork_celery.domain.definition import Each, JobDefinition, Parallel, Subjob, TaskDefinition

SUBJOB = TaskDefinition(name="sub", subjob=Subjob(name="inner", tasks=(task_definition(name="in"),)))
PARALLEL = TaskDefinition(name="both", parallel=Parallel(tasks=(task_definition(name="beside"), SUBJOB)))


def each_job(items: str, *, concurrency: int = 0) -> JobDefinition:
    """Return a job with an `each` over the expression `items`, whose children are named after their item."""
    each = Each(list=items, task=task_definition(name="{{ item.value }}"), concurrency=concurrency)
    return job_definition(TaskDefinition(name="each", each=each))
