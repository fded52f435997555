"""The tasks, attempts and steps whose log a user wants to see."""

from dataclasses import dataclass, field

from tork_celery.cli import ids
from tork_celery.cli.client import Client, Document
from tork_celery.domain.errors import InvalidInput, NotFound


@dataclass(slots=True, kw_only=True)
class LogSelection:
    """A part of the log of a job. `task_ids` has the tasks, None for all; `names` their names, by id."""

    job_id: str
    task_ids: frozenset[str] | None = None
    step: str | None = None
    names: dict[str, str] = field(default_factory=dict)

    def wants(self, part: Document) -> bool:
        """Return whether a log part is selected."""
        if self.task_ids is not None and part["taskId"] not in self.task_ids:
            return False
        return self.step is None or self.step in (str(part.get("step")), part.get("stepName"))

    def learn(self, job: Document) -> None:
        """Learn the names of the job's tasks."""
        self.names.update(
            (task["id"], task.get("name", task["id"]))
            for task in job["execution"]
            if self.task_ids is None or task["id"] in self.task_ids
        )


def select(
    client: Client, text: str, task: str | None, *, attempt: int | None, step: str | None, failed: bool
) -> LogSelection:
    """Return the selection of a job, or of a task that is named by its id or within its job.

    Raises NotFound, and InvalidInput for an attempt of no task.
    """
    job_id, task_id = _job_and_task(client, text)
    job = client.job(job_id)
    named = task_id or task
    chosen = None if named is None else _attempts(job, named)
    if attempt is not None:
        if chosen is None:
            raise InvalidInput("--attempt needs a task; write `tork-celery logs ID TASK --attempt N`")
        if attempt > len(chosen):
            raise NotFound(f"the task has {len(chosen)} attempts; there is no attempt {attempt}")
        chosen = [chosen[attempt - 1]]
    if failed:
        chosen = [run for run in chosen or job["execution"] if run["state"] == "FAILED"]
    task_ids = None if chosen is None else frozenset(run["id"] for run in chosen)
    selection = LogSelection(job_id=job_id, task_ids=task_ids, step=step)
    selection.learn(job)
    return selection


def _job_and_task(client: Client, text: str) -> tuple[str, str | None]:
    """Return the job that a text means, or the job and the task."""
    try:
        job_id = ids.job_id(client, text)
        client.get("jobs", job_id, "log", size=1)
    except NotFound as error:
        try:
            task = client.get("tasks", ids.task_id(client, text))
        except NotFound:
            raise error from None
        return task["jobId"], task["id"]
    return job_id, None


def _attempts(job: Document, text: str) -> list[Document]:
    """Return the attempts of the tasks that a text means: an id or the beginning of one, a var or a name.

    Raises NotFound.
    """
    runs = job["execution"]
    found = [run for run in runs if text in (run["id"], run.get("var"), run.get("name"))]
    found = found or [run for run in runs if len(text) >= ids.SHORTEST_PREFIX and run["id"].startswith(text)]
    if not found:
        names = ", ".join(dict.fromkeys(run.get("name", run["id"]) for run in runs[:10]))
        raise NotFound(f"the job has no task {text!r} that has begun; its tasks are: {names or 'none yet'}")
    return [run for run in runs if any(_same_task(run, one) for one in found)]


def _same_task(one: Document, other: Document) -> bool:
    """Return whether these are attempts of the same task."""
    return all(one.get(key) == other.get(key) for key in ("parentId", "position", "name"))
