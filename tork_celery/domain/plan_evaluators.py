"""Evaluators for the tasks of one plan. They share a budget of steps, and the results that the plan adds."""

from collections.abc import Mapping
from datetime import UTC, datetime

from tork_celery import expr
from tork_celery.domain import evaluation
from tork_celery.domain.evaluation import Evaluator
from tork_celery.domain.masking import Mask, MaskedValues, job_values
from tork_celery.domain.model import Job
from tork_celery.domain.plan import JobResults, RandomSource


class PlanEvaluators:
    """Makes an evaluator for each task, with the results of the job as they are then."""

    def __init__(
        self,
        job: Job,
        stored_results: expr.MapSource,
        budget: expr.Budget,
        *,
        now: float,
        random: RandomSource,
    ) -> None:
        self._job = job
        self._stored_results = stored_results
        self._budget = budget
        self._masking: Mask | None = None
        self._host = expr.HostFunctions(
            now=lambda: datetime.fromtimestamp(now, UTC), randbelow=random.randbelow
        )

    def evaluator(
        self, scope: evaluation.Context, *, added: Mapping[str, str], removed: frozenset[str]
    ) -> Evaluator:
        """Return an evaluator for a task with this scope. `added` and `removed` change the results."""
        results = JobResults(self._stored_results, added, removed)
        names = evaluation.context(self._job, results, scope)
        return Evaluator(names, self._host, self._budget, self._mask)

    def _mask(self, text: str) -> str:
        """Mask the secrets of the job. They are prepared once for a plan, because there may be many."""
        if self._masking is None:
            self._masking = MaskedValues(job_values(self._job.definition)).mask
        return self._masking(text)
